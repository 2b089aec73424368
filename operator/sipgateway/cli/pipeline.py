"""From a source folder to what the switch shall have: read, accept, render, prove. Remembers the last good version.

In: a folder of manifests, looked at again and again. Out: `Desired` for the keeper, and findings. A manifest that is
not accepted any more leaves its gateway as it last was; only a folder that was read whole is evidence that a gateway
is not wanted.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sipgateway.agent.keeper import Desired
from sipgateway.api.codes.together import CONTACT_MAY_BE_POD_ADDRESS
from sipgateway.api.gateway import Gateway
from sipgateway.cli.owners import Owners
from sipgateway.errors import Finding, InputError, Severity
from sipgateway.reconcile.registrar import registrar_of
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import Layout, file_name, relative_path
from sipgateway.render.proof import prove
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import render
from sipgateway.source.folder import Folder, Snapshot
from sipgateway.source.local import EffectiveGateway, LocalResult, accepted

#: Warnings that mean something in a pod only; this pipeline serves a switch that is not in one.
_OF_PODS = frozenset({CONTACT_MAY_BE_POD_ADDRESS.name})


@dataclass(frozen=True, slots=True)
class Rendered:
    """One gateway, rendered and proved.

    Attributes:
        effective: what it was made of.
        data: the file; it holds secrets and never shows in `repr`.
        owner: (namespace, name) of the SipGateway that asked for it.
    """

    effective: EffectiveGateway
    wanted: Wanted
    data: bytes = field(repr=False)
    owner: tuple[str, str]

    @property
    def gateway(self) -> Gateway:
        """The gateway itself."""
        return self.effective.gateway


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the source gave.

    Attributes:
        desired: for the keeper.
        findings: everything that was refused or warned of, with file and line.
        rendered: by gateway name.
        suspended: gateway names that the source suspends.
        elsewhere: names of other switches that manifests of this folder are for.
        owners: (namespace, name) of the SipGateway of each gateway name, of those that are held too.
        look_again: when to look again though nothing happens, seconds of the clock: something may be gone by then.
    """

    desired: Desired
    findings: tuple[Finding, ...]
    rendered: Mapping[str, Rendered]
    suspended: frozenset[str]
    elsewhere: frozenset[str]
    owners: Owners
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
        owners: what a process before this one knew of whom each gateway name is.
    """

    source: Path
    key: RevisionKey
    switch: str
    layout: Layout = field(default_factory=Layout)
    allow_empty: bool = False
    quiet: float = 0.0
    owners: Owners = field(default_factory=dict)
    _folder: Folder | None = None
    _good: Mapping[str, Rendered] = field(default_factory=dict)
    _absent: dict[str, float] = field(default_factory=dict)
    _first: float | None = None
    _result: LocalResult | None = None
    _last: Look | None = None

    def look(self, now: float | None = None, touched: Collection[str] | None = None) -> Look:
        """Reads the source and renders what changed.

        Args:
            now: seconds of a steady clock; None takes the machine's.
            touched: the paths at which something happened since the last look, if they are known (`Folder.snapshot`).

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
        snapshot = self._folder.snapshot(touched)
        result = accepted(snapshot, switch=self.switch, holder=self.owners.get, before=self._result)
        look = self._edited(result.edited) or self._whole(snapshot, result, now)
        self._good, self._result, self._last = look.rendered, result, look
        return look

    def _edited(self, edits: tuple[tuple[EffectiveGateway, EffectiveGateway], ...] | None) -> Look | None:
        """The next look when these gateways were edited, and nothing else is different or waited for."""
        last = self._last
        if edits is None or last is None or last.look_again is not None:
            return None
        rendered, wanted, files = dict(last.rendered), dict(last.desired.wanted), dict(last.desired.files)
        for old, new in edits:
            known = rendered.get(new.gateway.name)
            if known is None or known.effective is not old:
                return None
            try:
                one = Rendered(new, *self._render(new.gateway), known.owner)
            except InputError:
                return None
            del files[known.wanted.path]
            rendered[one.gateway.name], wanted[one.gateway.name] = one, one.wanted
            files[one.wanted.path] = one.data
        return replace(last, desired=replace(last.desired, wanted=wanted, files=files), rendered=rendered)

    def _whole(self, snapshot: Snapshot, result: LocalResult, now: float) -> Look:
        """What a snapshot comes to, everything in it considered."""
        findings = [finding for finding in result.findings if finding.code not in _OF_PODS]
        rendered: dict[str, Rendered] = {}
        held = set(result.refused)
        for effective in result.gateways:
            name = effective.gateway.name
            known = self._good.get(name)
            if known is not None and known.effective is effective:  # its manifest is untouched
                rendered[name] = known
                continue
            owner = effective.source.namespace, effective.source.name
            if known is not None and known.gateway == effective.gateway:
                rendered[name] = replace(known, effective=effective, owner=owner)
                continue
            try:
                rendered[name] = Rendered(effective, *self._render(effective.gateway), owner)
            except InputError as error:
                findings.append(error.finding.at(effective.location))
                held.add(name)
        none = not (snapshot.gateways or snapshot.secrets or snapshot.broken)
        empty = not self.allow_empty and (none or bool(result.elsewhere and not result.gateways and not held))
        if empty:
            findings.append(_empty(self.source, None if none else self.switch))
        unreadable = set(snapshot.unreadable)
        absent: dict[str, float] = {}
        for name in self._good.keys() - rendered.keys() - result.suspended:
            known, since = self._good[name], self._absent.get(name, now)
            file = known.effective.location.file
            if name in held or known.owner in result.refused_objects or file in unreadable or empty:
                rendered[name] = known
            elif now - since < self.quiet:
                absent[name] = since
                rendered[name] = known
        held |= {n for n, owner in self.owners.items() if n not in rendered and owner in result.refused_objects}
        known_owners = set(self.owners.values()) if snapshot.broken else set()
        self._absent = absent
        if self._first is None:
            self._first = now
        young = now - self._first < self.quiet
        strange = {(b.namespace, b.name) for b in snapshot.broken} - known_owners  # what it was good for is not known
        due = [since + self.quiet for since in (*absent.values(), *([self._first] if young else ()))]
        held -= rendered.keys() | result.suspended
        desired = Desired(
            wanted={name: r.wanted for name, r in rendered.items()},
            files={r.wanted.path: r.data for r in rendered.values()},
            complete=result.complete and not empty and not young and not strange,
            held=frozenset(held),
            held_files=frozenset(file_name(name) for name in held),
        )
        owners = {name: r.owner for name, r in rendered.items()}
        kept = self.owners.keys() - owners.keys()  # as long as nothing says that they are not wanted any more
        self.owners = owners | {name: self.owners[name] for name in kept if name in held or not desired.complete}
        again = min(due, default=None)
        return Look(desired, tuple(findings), rendered, result.suspended, result.elsewhere, self.owners, again)

    def _render(self, gateway: Gateway) -> tuple[Wanted, bytes]:
        mark = revision(gateway, self.key)
        data = render(gateway, mark)
        prove(gateway, mark, data)
        path = relative_path(gateway, self.layout)
        registrar = registrar_of(gateway)
        return Wanted(gateway.name, gateway.target.profile, mark, gateway.registers, path, registrar), data


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
