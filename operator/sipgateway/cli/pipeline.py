"""From a source folder to what the switch shall have: read, accept, render, prove. Remembers the last good version.

In: a folder of manifests, looked at again and again. Out: `Desired` for the keeper, and findings. A manifest that is
not accepted any more leaves its gateway as it last was; only a folder that was read whole is evidence that a gateway
is not wanted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sipgateway.agent.keeper import Desired
from sipgateway.api.gateway import Gateway
from sipgateway.errors import Finding, InputError, Severity
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import Layout, file_name, relative_path
from sipgateway.render.proof import prove
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import render
from sipgateway.source.folder import Folder
from sipgateway.source.local import accepted


@dataclass(frozen=True, slots=True)
class Rendered:
    """One gateway, rendered and proved.

    Attributes:
        data: the file; it holds secrets and never shows in `repr`.
        owner: (namespace, name) of the SipGateway that asked for it.
        file: where that stood.
    """

    gateway: Gateway
    wanted: Wanted
    data: bytes = field(repr=False)
    owner: tuple[str, str] = ("", "")
    file: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the source gave.

    Attributes:
        desired: for the keeper.
        findings: everything that was refused or warned of, with file and line.
        rendered: by gateway name.
        suspended: gateway names that the source suspends.
        elsewhere: names of other switches that manifests of this folder are for.
        look_again: when to look again though nothing happens, seconds of the clock: something may be gone by then.
    """

    desired: Desired
    findings: tuple[Finding, ...]
    rendered: Mapping[str, Rendered]
    suspended: frozenset[str]
    elsewhere: frozenset[str]
    look_again: float | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse something."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)


@dataclass(slots=True)
class Pipeline:
    """Looks at one source for one switch.

    Attributes:
        source: folder or file of manifests.
        key: for the revisions.
        switch: the fleet whose gateways are taken.
        layout: where files go.
        allow_empty: whether a source without a single manifest means that nothing is wanted. Without it that counts
            as a folder that was not mounted.
        quiet: seconds for which a gateway must be absent before that counts: a `git checkout` removes files and writes
            them again, and a shell empties a file before it fills it.
    """

    source: Path
    key: RevisionKey
    switch: str
    layout: Layout = field(default_factory=Layout)
    allow_empty: bool = False
    quiet: float = 0.0
    _folder: Folder | None = None
    _good: dict[str, Rendered] = field(default_factory=dict)
    _absent: dict[str, float] = field(default_factory=dict)
    _owners: set[tuple[str, str]] = field(default_factory=set)
    _first: float | None = None

    def look(self, now: float | None = None) -> Look:
        """Reads the source and renders what changed.

        Args:
            now: seconds of a steady clock; None takes the machine's.

        Raises:
            InputError: the source is not there; nothing is to be concluded from that.
        """
        now = time.monotonic() if now is None else now
        if not self.source.exists():
            raise InputError(
                Finding("NoSource", "", f"{self.source} does not exist.", "Check --source; nothing was changed.")
            )
        if self._folder is None:
            self._folder = Folder(self.source)
        snapshot = self._folder.snapshot()
        result = accepted(snapshot, switch=self.switch)
        findings = list(result.findings)
        rendered: dict[str, Rendered] = {}
        held = set(result.refused)
        for effective in result.gateways:
            name, owner = effective.gateway.name, (effective.source.namespace, effective.source.name)
            file = effective.location.file
            known = self._good.get(name)
            if known is not None and known.gateway == effective.gateway:
                same = known.file == file and known.owner == owner
                rendered[name] = known if same else replace(known, owner=owner, file=file)
                continue
            try:
                wanted, data = self._render(effective.gateway)
                rendered[name] = Rendered(effective.gateway, wanted, data, owner, file)
            except InputError as error:
                findings.append(error.finding.at(effective.location))
                held.add(name)
        none = not (snapshot.gateways or snapshot.secrets or snapshot.broken)
        empty = not self.allow_empty and (none or bool(result.elsewhere and not result.gateways and not held))
        if empty:
            findings.append(_empty(self.source, None if none else self.switch))
        unreadable = set(snapshot.unreadable)
        absent: dict[str, float] = {}
        for name, known in self._good.items():
            if name in rendered or name in result.suspended:
                continue
            since = self._absent.get(name, now)
            if name in held or known.owner in result.refused_objects or known.file in unreadable or empty:
                rendered[name] = known
            elif now - since < self.quiet:
                absent[name] = since
                rendered[name] = known
        self._good, self._absent = rendered, absent
        self._owners |= {r.owner for r in rendered.values()}
        if self._first is None:
            self._first = now
        young = now - self._first < self.quiet
        strange = {(b.namespace, b.name) for b in snapshot.broken} - self._owners  # what it was good for is not known
        due = [since + self.quiet for since in (*absent.values(), *([self._first] if young else ()))]
        held -= rendered.keys() | result.suspended
        desired = Desired(
            wanted={name: r.wanted for name, r in rendered.items()},
            files={r.wanted.path: r.data for r in rendered.values()},
            complete=result.complete and not empty and not young and not strange,
            held=frozenset(held),
            held_files=frozenset(file_name(name) for name in held),
        )
        again = min(due, default=None)
        return Look(desired, tuple(findings), rendered, result.suspended, result.elsewhere, again)

    def _render(self, gateway: Gateway) -> tuple[Wanted, bytes]:
        mark = revision(gateway, self.key)
        data = render(gateway, mark)
        prove(gateway, mark, data)
        path = relative_path(gateway, self.layout)
        return Wanted(gateway.name, gateway.target.profile, mark, gateway.registers, path), data


def _empty(source: Path, switch: str | None) -> Finding:
    if switch is not None:
        what, action = f"{source} holds no SipGateway for switch {switch!r}.", "Check --switch"
    else:
        what = f"{source} holds no manifest at all. That may be a folder that is not mounted."
        action = "Check --source"
    return Finding(
        "EmptySource",
        "",
        f"{what} Nothing is removed for that.",
        f"{action}; if no trunk is wanted any more, start with --allow-empty.",
        Severity.WARNING,
    )
