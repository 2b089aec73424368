"""What one SipGateway's ConfigMap shall be: a decision over what the world is known to be. No I/O and no clock.

In: the world and a key. Out: a `Decision`, and the record's verdict renewed. The order of the questions is the
order in which a person would want the answers: is it there, is it suspended, is it right in itself, are its Secrets
there, is the name its own, are there keys and are they the fleet's, is the name free.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from sipgateway.api.accept import accept
from sipgateway.api.codes import objects
from sipgateway.api.gateway import Gateway
from sipgateway.api.names import LABEL_KEYS, LABEL_NAME, LABEL_NAME_VALUE, LABEL_SWITCH
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding, Severity
from sipgateway.kube.codes import CONFIG_MAP_FOREIGN, FLEET_KEYS_MISSING, FLEET_KEYS_REPLACED, WRITE_REFUSED
from sipgateway.kube.records import (
    ConfigMapRecord,
    FleetId,
    GatewayRecord,
    Key,
    Name,
    Verdict,
    content_digest,
    sipgateway_object,
)
from sipgateway.kube.world import World
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, secret_name
from sipgateway.render.xml import RenderError

#: What a write of a ConfigMap can end with.
_OF_WRITES = frozenset({CONFIG_MAP_FOREIGN.name, WRITE_REFUSED.name})


class Action(enum.Enum):
    """What is to be done about the ConfigMap."""

    NOTHING = "nothing"
    WRITE = "write"
    DELETE = "delete"
    WAIT = "wait"  # another ConfigMap still carries the name; its change brings the next look
    SEEK_KEYS = "seek keys"  # none are known: they are asked for by name, and made when there never were any
    KEEP = "keep"  # refused, and somebody changed what is there, or nobody has looked at it yet
    RESEAL = "reseal"  # refused, so only the ConfigMap itself still has the values for a new seal key
    CLEAR = "clear"  # the SipGateway is gone: its ConfigMap goes, once a GET says so too


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and what was known when it was decided.

    Attributes:
        body: what to write.
        before: the ConfigMap as it was known; a write or a deletion is of exactly that one.
        drift: whether somebody else changed or deleted it.
        first: whether none of ours was seen or written since the start: what another release wrote may mean the same.
    """

    action: Action
    record: GatewayRecord | None = None
    body: configmap.Body | None = None
    before: ConfigMapRecord | None = None
    drift: bool = False
    first: bool = False


def decide(world: World, key: Key) -> Decision:
    """Decides about one SipGateway and renews its verdict."""
    record = world.gateways.get(key)
    before = world.config_maps.get(key)
    if record is not None:
        return _decide(world, record, before)
    ours = before is not None and (bool(before.owner) or not before.foreign)
    return Decision(Action.CLEAR if ours else Action.NOTHING, None, None, before)


def _decide(world: World, record: GatewayRecord, before: ConfigMapRecord | None) -> Decision:
    verdict = record.verdict
    if record.suspend:
        _, effective, findings = _accepted(world, record)
        world.judged(record, refused=effective is None)
        registers = True if effective is None else effective.registers
        failed = None if verdict is None or before is None else verdict.failure
        failure = failed if failed is not None and failed.code in _OF_WRITES else None
        record.verdict = Verdict(
            record.generation, ("suspended",), _errors(findings), _warnings(findings), registers, b"", failure
        )
        world.seeks_no_more(record)
        ours = before is not None and (bool(before.owner) or not before.foreign)
        return Decision(Action.DELETE if ours else Action.NOTHING, record, None, before)
    accepted = None
    if record.refused is None:  # who wins the name depends on it
        accepted = _accepted(world, record)
        world.judged(record, refused=accepted[1] is None)
    inputs = _inputs(world, record)
    if verdict is not None and verdict.inputs == inputs and _settled(verdict, before):
        if verdict.generation != record.generation or verdict.failure is not None:
            record.verdict = replace(verdict, generation=record.generation, failure=None)
        return Decision(Action.NOTHING, record, None, before)
    sip, effective, findings = accepted or _accepted(world, record)
    refusals, warnings = _errors(findings), _warnings(findings)
    failed = None if verdict is None else verdict.failure

    def judged(*more: Finding, desired: bytes = b"", failure: Finding | None = None) -> None:
        registers = True if effective is None else effective.registers
        record.verdict = Verdict(record.generation, inputs, (*refusals, *more), warnings, registers, desired, failure)

    world.judged(record, refused=effective is None)
    if sip is None or effective is None:
        judged()
        world.seeks_no_more(record)
        return _held(world, record, before)
    winner = _winner(world, record.name)
    if winner is not None and winner.key != record.key:
        judged(_lost(sip, winner))
        world.seeks_no_more(record)
        return _held(world, record, before)
    fleet = record.name.fleet
    keys = world.keys.get(fleet)
    if keys is None or world.shall_seek_keys(record):
        judged(failure=None if keys is None else keys.finding)
        return Decision(Action.SEEK_KEYS, record, None, before)
    if keys.keys is None:
        judged(failure=keys.finding)
        return Decision(Action.NOTHING, record, None, before)
    if not world.trusts(fleet, keys.keys.revision.key_id):
        judged(failure=keys_replaced(fleet, keys.keys.revision.key_id, world.signed_with(fleet)))
        return Decision(Action.NOTHING, record, None, before)
    try:
        body = configmap.build(
            effective,
            namespace=record.key.namespace,
            switch=fleet.switch,
            object_name=record.key.name,
            keys=keys.keys,
        )
    except RenderError as error:
        world.judged(record, refused=True)
        judged(error.finding)
        return _held(world, record, before)
    desired = body_digest(body, record.uid)
    judged(desired=desired)
    if before is not None and before.digest == desired:
        record.published = desired
        return Decision(Action.NOTHING, record, body, before)
    if world.holders(record.name) - {record.key}:
        if before is not None and before.name != record.name and world.is_swapped(record.key):
            return Decision(Action.DELETE, record, None, before)  # names are swapped: one of them makes room
        return Decision(Action.WAIT, record, None, before)
    if record.leaving:
        return Decision(Action.NOTHING, record, None, before)  # the garbage collector is at work; it goes in a moment
    if failed is not None and failed.code in _OF_WRITES:
        judged(desired=desired, failure=failed)  # until it is written, why it could not be stays
    drift = record.published == desired
    return Decision(Action.WRITE, record, body, before, drift, first=not record.published)


def _errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(f for f in findings if f.severity is Severity.ERROR)


def _warnings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(f for f in findings if f.severity is Severity.WARNING)


def body_digest(body: configmap.Body, owner: str) -> bytes:
    """The digest that a ConfigMap of this body and owner has."""
    return content_digest(body.data, body.labels, owner)


def _accepted(world: World, record: GatewayRecord) -> tuple[SipGateway | None, Gateway | None, tuple[Finding, ...]]:
    sip, findings = parse_sipgateway(sipgateway_object(record))
    if sip is None:
        return None, None, findings
    effective, more = accept(sip, world.secrets_of(record))
    return sip, effective, (*findings, *more)


def _winner(world: World, name: Name) -> GatewayRecord | None:
    """Who has a name; whoever was not judged since its last change is judged for it: nobody loses to a mistake."""

    def refused(record: GatewayRecord) -> bool:
        if record.refused is None:
            world.judged(record, refused=_accepted(world, record)[1] is None)
        return record.refused is True

    return world.winner(name, refused)


def _inputs(world: World, record: GatewayRecord) -> tuple[object, ...]:
    """What a verdict depends on, besides who else wants or holds the name."""
    secrets = tuple(
        world.secrets[k].version if (k := Key(record.key.namespace, n)) in world.secrets else None
        for n in record.secrets
    )
    keys = world.keys.get(record.name.fleet)
    winner = _winner(world, record.name)
    return (
        hash(record.document),
        record.uid,
        secrets,
        None if keys is None else keys.version,
        None if winner is None else winner.key,
    )


def _settled(verdict: Verdict, before: ConfigMapRecord | None) -> bool:
    """Whether the verdict, made from equal inputs, still holds for the ConfigMap as it is."""
    return bool(verdict.desired) and before is not None and before.digest == verdict.desired


def _held(world: World, record: GatewayRecord, before: ConfigMapRecord | None) -> Decision:
    """A refused SipGateway keeps what it was last good for, unless the name of that belongs to another one by now."""
    if before is None or before.name is None:
        return Decision(Action.NOTHING, record, None, before)
    if before.owner not in {"", record.uid}:
        return Decision(Action.DELETE, record, None, before)
    winner = _winner(world, before.name)
    if winner is not None and winner.key != record.key:
        # Without a look at the winner, or keys to write for it, nothing is taken away; both bring the next look here.
        sure = world.is_proved(winner) and _usable_keys(world, before.name.fleet) is not None
        return Decision(Action.DELETE if sure else Action.NOTHING, record, None, before)
    if before.digest != record.published:
        return Decision(Action.KEEP, record, None, before)
    return Decision(Action.RESEAL if _sealed_otherwise(world, before) else Action.NOTHING, record, None, before)


def _usable_keys(world: World, fleet: FleetId) -> FleetKeys | None:
    found = world.keys.get(fleet)
    return None if found is None else found.keys


def _sealed_otherwise(world: World, before: ConfigMapRecord) -> bool:
    """Whether a ConfigMap could be sealed anew with the active key. An immutable one would have to go for that."""
    keys = None if before.fleet is None else _usable_keys(world, before.fleet)
    if keys is None or before.immutable or before.signed != keys.revision.key_id:
        return False
    return bool(set(before.seals) - {keys.active})


def _lost(sip: SipGateway, winner: GatewayRecord) -> Finding:
    field = "metadata.name" if sip.spec.gateway_name is None else "spec.gatewayName"
    held = winner.name != Name(winner.name.fleet, sip.gateway_name)
    older = "which still holds it in the version that it was last good for" if held else "which is older"
    return objects.GATEWAY_NAME_TAKEN.finding(
        field,
        f"the gateway name {sip.gateway_name} on switch {sip.spec.switch} belongs to SipGateway {winner.key}, {older}; "
        "a second one would be a ghost that no command reaches (fact 11).",
        f"Choose another gatewayName, or delete or suspend {winner.key}: this one then takes over.",
    )


def keys_missing(fleet: FleetId) -> Finding:
    """The keys Secret is gone."""
    namespace, switch = fleet
    return FLEET_KEYS_MISSING.because(
        "",
        f"Secret {namespace}/{secret_name(switch)} is gone, while ConfigMaps made with it exist.",
        f"Restore it from a backup, with its label {LABEL_KEYS}={switch}. {_start_over(fleet)}",
    )


def keys_replaced(fleet: FleetId, key_id: str, signed: frozenset[str]) -> Finding:
    """The keys Secret holds other keys than those that the fleet lives with."""
    namespace, switch = fleet
    return FLEET_KEYS_REPLACED.because(
        "",
        f"Secret {namespace}/{secret_name(switch)} holds revision key {key_id}; "
        f"the ConfigMaps of the fleet were made with {', '.join(sorted(signed))}.",
        f"Restore the Secret from a backup. {_start_over(fleet)}",
    )


def _start_over(fleet: FleetId) -> str:
    selector = f"{LABEL_SWITCH}={fleet.switch},{LABEL_NAME}={LABEL_NAME_VALUE}"
    return (
        "Or start over, which replaces every gateway of the fleet once: "
        f"kubectl -n {fleet.namespace} delete configmap -l {selector}"
    )
