"""What the ConfigMaps of a fleet want of this switch, and what stays though its ConfigMap is not there.

In: verified and refused ConfigMaps, their disappearance, evidence. Out: `Desired`. No I/O. A gateway goes only when
there is evidence for it: a ConfigMap that is missing, cut out of a LIST, forged or unreadable leaves what it last was
good for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sipgateway.agent.store import Desired
from sipgateway.errors import Finding
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import file_name


@dataclass(frozen=True, slots=True)
class Claim:
    """A gateway that a verified ConfigMap asks for.

    Attributes:
        config_map: its name.
        born: its creationTimestamp, in the API server's words (RFC 3339, so that texts sort as moments do).
        wanted: the gateway.
        file: its content; it holds secrets and never shows in `repr`.
        alive: a later creationTimestamp of a SipGateway that was seen to want it, if one is known.
    """

    config_map: str
    born: str
    wanted: Wanted
    file: bytes = field(repr=False)
    alive: str = ""

    @property
    def since(self) -> str:
        """The latest moment at which its SipGateway is known to have been there."""
        return max(self.born, self.alive)

    @property
    def name(self) -> str:
        """The gateway's name on the switch."""
        return self.wanted.name


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a ConfigMap is not taken.

    Attributes:
        finding: in words; never a secret.
        gateway: the name that it says it is about, which nothing proves; empty when it says none.
        unknown_key: id of the key that it needs and that is not held.
    """

    finding: Finding
    gateway: str = ""
    unknown_key: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A ConfigMap that is there: what it asks for, or what it last asked for and why it is refused now."""

    uid: str
    version: str
    claim: Claim | None
    refusal: Refusal | None = None


@dataclass(slots=True)
class Fleet:
    """The ConfigMaps of one fleet as one agent knows them.

    Attributes:
        entries: by ConfigMap name: those that are there.
        leftovers: by gateway name: what a ConfigMap asked for that is gone, or asks for another name now. It stays
            until there is evidence.
        gone: gateway names that are to go.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    leftovers: dict[str, Claim] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    _claims: dict[str, tuple[Claim, ...]] = field(default_factory=dict)
    _wanted: dict[str, Wanted] = field(default_factory=dict)
    _files: dict[str, bytes] = field(default_factory=dict)

    def restore(self, claims: Iterable[Claim], gone: Iterable[str]) -> None:
        """Takes over what a process before this one knew; each claim waits for its ConfigMap, or for evidence."""
        self.gone |= set(gone)
        for claim in claims:
            self.leftovers[claim.name] = claim
            self._choose(claim.name)

    def verified(self, uid: str, version: str, claim: Claim) -> None:
        """A ConfigMap was read and proved."""
        self._put(claim.config_map, Entry(uid, version, claim))

    def refused(self, config_map: str, uid: str, version: str, refusal: Refusal) -> None:
        """A ConfigMap must not reach the switch: what it last was good for stays."""
        before = self.entries.get(config_map)
        good = before.claim if before is not None else self._left_by(config_map)
        self._put(config_map, Entry(uid, version, good, refusal))

    def vanished(self, config_map: str, uid: str) -> None:
        """A ConfigMap is not there any more. That is no evidence: what it asked for is left over."""
        before = self.entries.get(config_map)
        if before is None or before.uid != uid:
            return
        del self.entries[config_map]
        if before.claim is not None:
            self._withdraw(before.claim)

    def listed(self, uids: frozenset[str]) -> None:
        """A whole LIST had these and no others."""
        for name, entry in [(n, e) for n, e in self.entries.items() if e.uid not in uids]:
            self.vanished(name, entry.uid)

    def alive(self, claim: Claim, when: str) -> bool:
        """The SipGateway of a claim was seen, made at this moment; returns whether that is news."""
        if when <= claim.since:
            return False
        later = replace(claim, alive=when)
        entry = self.entries.get(claim.config_map)
        if self.leftovers.get(claim.name) is claim:
            self.leftovers[claim.name] = later
        elif entry is not None and entry.claim is claim:
            self.entries[claim.config_map] = replace(entry, claim=later)
            self._claims[claim.name] = (*(c for c in self._claims[claim.name] if c is not claim), later)
        return True

    def give_up(self, claim: Claim) -> bool:
        """There is evidence that nobody wants this any more.

        Returns:
            Whether it was still left over: its ConfigMap may have come back meanwhile.
        """
        if self.leftovers.get(claim.name) is not claim:
            return False
        del self.leftovers[claim.name]
        self.gone.add(claim.name)
        self._choose(claim.name)
        return True

    def forget(self, names: Iterable[str]) -> None:
        """These are off the switch, and their files are gone: there is nothing left to remember of them."""
        self.gone.difference_update(names)

    def desired(self) -> Desired:
        """What the switch and its folder shall hold."""
        held = {e.refusal.gateway for e in self.entries.values() if e.refusal is not None} - {""}
        gone = frozenset(self.gone - self._wanted.keys() - held)
        held -= self._wanted.keys()
        return Desired(
            wanted=dict(self._wanted),
            files=dict(self._files),
            complete=False,
            held=frozenset(held),
            held_files=frozenset(map(file_name, held)),
            gone=gone,
            gone_files=frozenset(map(file_name, gone)),
        )

    def claim(self, name: str) -> Claim | None:
        """The claim that counts for a gateway's name."""
        return self._winner(name)

    @property
    def claims(self) -> Mapping[str, Claim]:
        """By gateway name: the claim that counts."""
        return {name: claim for name in self._wanted if (claim := self._winner(name)) is not None}

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """By ConfigMap name: those that are refused."""
        return {name: e.refusal for name, e in self.entries.items() if e.refusal is not None}

    @property
    def troubled(self) -> Mapping[str, Finding]:
        """By gateway name: why the ConfigMap that is about it is not taken.

        What a refused ConfigMap says that it is about proves nothing: a gateway that a good one asks for is well.
        """
        found: dict[str, Finding] = {}
        for entry in self.entries.values():
            if entry.refusal is not None:
                good = None if entry.claim is None else entry.claim.name
                for name in {good, entry.refusal.gateway} - {None, ""}:
                    if name is not None and not self._well(name):
                        found[name] = entry.refusal.finding
        return found

    def _well(self, name: str) -> bool:
        """Whether a ConfigMap that is there and proved asks for it."""
        return any(self.entries[c.config_map].refusal is None for c in self._claims.get(name, ()))

    def _put(self, config_map: str, entry: Entry) -> None:
        before = self.entries.get(config_map)
        self.entries[config_map] = entry
        old, new = None if before is None else before.claim, entry.claim
        if old is not None and (new is None or new.name != old.name):
            self._withdraw(old)
        if new is not None:
            self.leftovers.pop(new.name, None)
            others = (c for c in self._claims.get(new.name, ()) if c.config_map != config_map)
            self._claims[new.name] = (*others, new)
            self._choose(new.name)

    def _withdraw(self, claim: Claim) -> None:
        claims = tuple(c for c in self._claims.pop(claim.name, ()) if c.config_map != claim.config_map)
        if claims:
            self._claims[claim.name] = claims
        else:
            self.leftovers[claim.name] = claim
        self._choose(claim.name)

    def _left_by(self, config_map: str) -> Claim | None:
        return next((c for c in self.leftovers.values() if c.config_map == config_map), None)

    def _winner(self, name: str) -> Claim | None:
        """The claim that counts: of two ConfigMaps with one name the older, on every pod; one that is there first."""
        claims = self._claims.get(name)
        if claims:
            return min(claims, key=lambda c: (c.born, c.config_map))
        return self.leftovers.get(name)

    def _choose(self, name: str) -> None:
        before, claim = self._wanted.get(name), self._winner(name)
        if before is not None and (claim is None or claim.wanted.path != before.path):
            self._files.pop(before.path, None)
        if claim is None:
            self._wanted.pop(name, None)
            return
        self.gone.discard(name)
        self._wanted[name] = claim.wanted
        self._files[claim.wanted.path] = claim.file
