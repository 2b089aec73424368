"""What a snapshot asks for: which gateways a switch shall have, and why others are refused. Without Kubernetes.

In: a `Snapshot`. Out: `LocalResult`: effective gateways with Secrets filled in, and every finding with its place.
The order is that of the operator: parse, accept, name conflicts, Secrets, and the checks on the values in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from sipgateway.api.accept import check, check_effective
from sipgateway.api.codes.objects import SECRET_MISSING, SECRET_NOT_LABELLED
from sipgateway.api.conflicts import fleet_of, losers, lost_to
from sipgateway.api.gateway import Gateway
from sipgateway.api.names import LABEL_CREDENTIALS
from sipgateway.api.resolve import SecretView, resolve
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding, Location, Severity
from sipgateway.source.folder import Snapshot
from sipgateway.source.manifests import SourcedGateway


@dataclass(frozen=True, slots=True)
class EffectiveGateway:
    """A gateway that the switch shall have.

    Attributes:
        gateway: with the values of Secrets, which show in no `repr`.
        source: the SipGateway that asks for it.
        location: where that stands.
    """

    gateway: Gateway
    source: SipGateway
    location: Location


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What a snapshot asks for.

    Attributes:
        gateways: accepted, not suspended, in the order of their places.
        suspended: gateway names of accepted SipGateways with `suspend: true`, whose name nobody else uses.
        findings: everything that was refused or warned of, files included, each with its place.
        refused: gateway name -> why a SipGateway that asks for it is refused. Another one may have that name.
        refused_objects: (namespace, name) of the refused SipGateways: what they last were good for stays.
        elsewhere: names of other switches that SipGateways are for; empty unless a switch was asked for.
        complete: whether everything could be read. If not, a gateway that is not here is not known to be unwanted.
        edited: (before, after) of gateways, if the result differs from the one before it by these only. None: that is
            not known.
    """

    gateways: tuple[EffectiveGateway, ...] = ()
    suspended: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    refused: Mapping[str, tuple[Finding, ...]] = field(default_factory=lambda: MappingProxyType({}))
    refused_objects: frozenset[tuple[str, str]] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    complete: bool = True
    edited: tuple[tuple[EffectiveGateway, EffectiveGateway], ...] | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """On one SipGateway by itself, with the Secrets that it names."""

    effective: EffectiveGateway | None
    findings: tuple[Finding, ...]
    refused: bool


#: Of a SipGateway that names no Secret: none can change what it amounts to.
_NO_SECRETS: Final = (None, None)


def _nobody(_: str) -> None:
    """Nothing is known of who has a name."""


def accepted(
    snapshot: Snapshot,
    *,
    switch: str | None = None,
    holder: Callable[[str], tuple[str, str] | None] = _nobody,
    before: LocalResult | None = None,
) -> LocalResult:
    """Judges a snapshot.

    Args:
        snapshot: of a source.
        switch: take only SipGateways for this switch; it has one name space whatever their Kubernetes namespace is
            (fact 11). None takes all, each (namespace, switch) by itself, as in a cluster.
        holder: (namespace, name) of the SipGateway that a gateway name was last loaded for: in a folder there are no
            creation times, and a second manifest of a name takes it from nobody.
        before: the result of the snapshot before this one, with the same `switch`.
    """
    if before is not None and snapshot.edited is not None:
        edited = _edited(before, snapshot.edited)
        if edited is not None:
            return edited
    switches = {one.gateway.spec.switch for one in snapshot.gateways}
    all_mine = switch is None or switches <= {switch}
    mine = snapshot.gateways if all_mine else [one for one in snapshot.gateways if one.gateway.spec.switch == switch]
    secrets: dict[str, dict[str, SecretView]] = {}
    for secret in snapshot.secrets:
        secrets.setdefault(secret.namespace, {})[secret.secret.name] = secret.secret
    verdicts = [_verdict(one, secrets) for one in mine]
    # A refused SipGateway keeps its name from nobody: the operator compares accepted ones only.
    lost = losers(
        [one.gateway for one, verdict in zip(mine, verdicts, strict=True) if not verdict.refused],
        fleet=fleet_of if switch is None else lambda gateway: gateway.spec.switch,
        holds=lambda gateway: holder(gateway.gateway_name) == (gateway.namespace, gateway.name),
    )
    result = _Result(snapshot)
    for one, verdict in zip(mine, verdicts, strict=True):
        winner = lost.get((one.gateway.namespace, one.gateway.name)) if lost else None
        if winner is None and verdict.effective is not None and not verdict.findings:  # the common case
            result.gateways.append(verdict.effective)
        else:
            result.add(one, verdict, winner)
    return result.finished(frozenset() if switch is None else frozenset(switches - {switch}))


def _edited(before: LocalResult, edits: Iterable[tuple[SourcedGateway, SourcedGateway]]) -> LocalResult | None:
    """The next result when each of these is as good as it was, and can concern no other: else all are judged."""
    gateways, found = list(before.gateways), []
    for old, new in edits:
        was, now = _by_itself(old), _by_itself(new)
        index = next((i for i, one in enumerate(gateways) if one is was), None)
        if was is None or now is None or index is None or _place_among_others(old) != _place_among_others(new):
            return None
        gateways[index] = now
        found.append((was, now))
    return replace(before, gateways=tuple(gateways), edited=tuple(found))


def _by_itself(one: SourcedGateway) -> EffectiveGateway | None:
    """What it amounts to when it is good without a word, and names no Secret."""
    if one.gateway.spec.username_from is not None or one.gateway.spec.password_from is not None:
        return None
    verdict = _verdict(one, {})
    return None if verdict.findings else verdict.effective


def _place_among_others(one: SourcedGateway) -> tuple[str, str, str]:
    """What decides whether it has its name on the switch."""
    return one.gateway.spec.switch, one.gateway.gateway_name, one.gateway.created


class _Result:
    """Gathers what each SipGateway came to."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.gateways: list[EffectiveGateway] = []
        self._complete = not snapshot.unreadable
        self._suspended: set[str] = set()
        self._findings = list(snapshot.findings)
        self._refused: dict[str, tuple[Finding, ...]] = {one.gateway_name: one.findings for one in snapshot.broken}
        self._objects = {(one.namespace, one.name) for one in snapshot.broken}

    def add(self, one: SourcedGateway, verdict: _Verdict, winner: SipGateway | None) -> None:
        gateway, findings = one.gateway, verdict.findings
        if winner is not None:
            conflict = lost_to(gateway, winner)
            findings = (*findings, conflict.at(one.manifest.locate(conflict.field)))
        self._findings += findings
        if verdict.refused or winner is not None:
            errors = tuple(finding for finding in findings if finding.severity is Severity.ERROR)
            self._refused[gateway.gateway_name] = self._refused.get(gateway.gateway_name, ()) + errors
            self._objects.add((gateway.namespace, gateway.name))
        elif gateway.spec.suspend:
            self._suspended.add(gateway.gateway_name)
        elif verdict.effective is not None:
            self.gateways.append(verdict.effective)

    def finished(self, elsewhere: frozenset[str]) -> LocalResult:
        used = {effective.gateway.name for effective in self.gateways} if self._suspended else set()
        return LocalResult(
            tuple(self.gateways),
            frozenset(self._suspended - used),
            tuple(self._findings),
            MappingProxyType(self._refused),
            frozenset(self._objects),
            elsewhere,
            self._complete,
        )


def _verdict(one: SourcedGateway, secrets: Mapping[str, Mapping[str, SecretView]]) -> _Verdict:
    """Remembered with the manifest as long as the Secrets it names are the same: 999 unchanged ones cost nothing."""
    remembered: tuple[tuple[SecretView | None, SecretView | None], _Verdict] | None = one.memo.get("verdict")
    if remembered is not None and remembered[0] is _NO_SECRETS:
        return remembered[1]
    username, password = one.gateway.spec.username_from, one.gateway.spec.password_from
    there = secrets.get(one.gateway.namespace, {})
    used = (
        None if username is None else there.get(username.name),
        None if password is None else there.get(password.name),
    )
    if remembered is not None and remembered[0] == used:
        return remembered[1]
    verdict = _judge(one, there)
    one.memo["verdict"] = (_NO_SECRETS if username is None and password is None else used, verdict)
    return verdict


def _judge(one: SourcedGateway, secrets: Mapping[str, SecretView]) -> _Verdict:
    findings = list(check(one.gateway))
    gateway: Gateway | None = None
    if not _refuses(findings) and not one.gateway.spec.suspend:  # a suspended one needs no Secret yet
        gateway, found = resolve(one.gateway, secrets)
        findings += (_in_words_of_files(finding, one.gateway) for finding in found)
        if gateway is not None:
            findings += check_effective(gateway)
    effective = None if gateway is None else EffectiveGateway(gateway, one.gateway, one.manifest.start())
    placed = tuple(finding.at(one.manifest.locate(finding.field)) for finding in findings)
    return _Verdict(effective, placed, _refuses(findings))


def _in_words_of_files(finding: Finding, gateway: SipGateway) -> Finding:
    """What to do about a Secret, for somebody who has manifests before him and may have no cluster."""
    spec = gateway.spec
    reference = spec.password_from if "passwordFrom" in finding.field else spec.username_from
    label = f'{LABEL_CREDENTIALS}: "true"'
    if finding.code == SECRET_MISSING.name and reference is not None:
        return replace(finding, action=f"Add it to the manifests with key {reference.key} and the label {label}.")
    if finding.code == SECRET_NOT_LABELLED.name:
        return replace(finding, action=f"Add the label {label} to its metadata.")
    return finding


def _refuses(findings: list[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)
