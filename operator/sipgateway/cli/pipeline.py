"""From a source folder to what the switch shall have: read, accept, render, prove. Remembers the last good version.

In: a folder of manifests, looked at again and again. Out: `Desired` for the keeper, and findings. A manifest that is
not accepted any more leaves its gateway as it last was; only a folder that was read whole is evidence that a gateway
is not wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from sipgateway.source.local import LocalResult, accepted


@dataclass(frozen=True, slots=True)
class Rendered:
    """One gateway, rendered and proved. `data` holds secrets and never shows in `repr`."""

    gateway: Gateway
    wanted: Wanted
    data: bytes = field(repr=False)
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
    """

    desired: Desired
    findings: tuple[Finding, ...]
    rendered: Mapping[str, Rendered]
    suspended: frozenset[str]
    elsewhere: frozenset[str]

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
    """

    source: Path
    key: RevisionKey
    switch: str
    layout: Layout = field(default_factory=Layout)
    _folder: Folder | None = None
    _good: dict[str, Rendered] = field(default_factory=dict)

    def look(self) -> Look:
        """Reads the source and renders what changed.

        Raises:
            InputError: the source is not there or cannot be read at all; nothing is to be concluded from it.
        """
        if self._folder is None:
            self._folder = Folder(self.source)
        snapshot = self._folder.snapshot()
        result: LocalResult = accepted(snapshot, switch=self.switch)
        findings = list(result.findings)
        rendered: dict[str, Rendered] = {}
        held: set[str] = set()
        for effective in result.gateways:
            name = effective.gateway.name
            known = self._good.get(name)
            file = effective.location.file if effective.location else ""
            if known is not None and known.gateway == effective.gateway:
                rendered[name] = (
                    known if known.file == file else Rendered(known.gateway, known.wanted, known.data, file)
                )
                continue
            try:
                rendered[name] = self._render(effective.gateway, file)
            except InputError as error:
                findings.append(error.finding.at(effective.location))
                held.add(name)
        held |= set(result.refused) - rendered.keys()
        unreadable = set(snapshot.unreadable)
        for name, known in self._good.items():
            if name not in rendered and (name in held or known.file in unreadable):
                rendered[name] = known
        self._good = rendered
        held -= rendered.keys()
        desired = Desired(
            wanted={name: r.wanted for name, r in rendered.items()},
            files={r.wanted.path: r.data for r in rendered.values()},
            complete=not unreadable,
            held=frozenset(held),
            held_files=frozenset(file_name(name) for name in held),
        )
        return Look(desired, tuple(findings), rendered, frozenset(result.suspended), frozenset(result.elsewhere))

    def _render(self, gateway: Gateway, file: str) -> Rendered:
        mark = revision(gateway, self.key)
        data = render(gateway, mark)
        prove(gateway, mark, data)
        wanted = Wanted(
            gateway.name, gateway.target.profile, mark, gateway.registers, relative_path(gateway, self.layout)
        )
        return Rendered(gateway, wanted, data, file)
