"""The keys of a fleet: one for revisions and MACs, some for seals; their ids, and the Secret's entries and back.

In: random bytes from the caller, or the decoded data of the Secret. Out: `FleetKeys`, which never shows a key. Nothing
here makes randomness or reads a Secret.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sipgateway.api.names import OBJECT_PREFIX
from sipgateway.errors import InputError
from sipgateway.render.codes import FLEET_KEYS_BROKEN
from sipgateway.render.revision import RevisionKey

#: Sizes in bytes. AES-SIV with two AES-256 keys takes 64.
REVISION_BYTES = 32
SEAL_BYTES = 64

#: Entries of the Secret; each seal key has one more, `seal-KEYID`.
REVISION = "revision"
ACTIVE = "seal-active"
NEXT = "seal-next"

_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_SEAL = re.compile(r"seal-([0-9a-f]{8})", re.ASCII)


class KeysError(InputError):
    """The Secret of a fleet's keys is not whole. Its finding names the entry, never a value."""


def secret_name(switch: str) -> str:
    """The name of the Secret that holds a fleet's keys."""
    return f"{OBJECT_PREFIX}{switch}-keys"


def seal_key_id(key: bytes) -> str:
    """Eight hex digits that tell seal keys apart and reveal nothing of them."""
    return hmac.digest(key, b"sipgateway seal key id", "sha256").hex()[:8]


@dataclass(frozen=True, slots=True)
class FleetKeys:
    """The keys of one fleet. Key bytes never show in `repr`.

    Attributes:
        revision: key of revisions; the MAC's key is derived from it.
        seals: seal keys by id. More than one only while they are being exchanged.
        active: id of the key that new seals are made with.
        following: id of the key that becomes active once every agent holds it; None when none is waiting.
    """

    revision: RevisionKey
    seals: Mapping[str, bytes] = field(repr=False)
    active: str
    following: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seals", MappingProxyType(dict(sorted(self.seals.items()))))
        if self.active not in self.seals or (self.following is not None and self.following not in self.seals):
            raise ValueError("the active and the following seal key must be among the seal keys")
        if self.active == self.following:
            raise ValueError("the following seal key is active already")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all seal keys, sorted."""
        return tuple(self.seals)

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> FleetKeys:
        """Keys for a new fleet.

        Args:
            random: gives that many random bytes that nobody can guess, such as `secrets.token_bytes`.
        """
        revision = RevisionKey(_drawn(random, REVISION_BYTES))
        seal = _drawn(random, SEAL_BYTES)
        key_id = seal_key_id(seal)
        return cls(revision, {key_id: seal}, key_id)

    def with_new_seal(self, random: Callable[[int], bytes]) -> FleetKeys:
        """With one more seal key, which waits to become active (`following`).

        Raises:
            ValueError: one is waiting already, or the random bytes are those of a key that is held.
        """
        if self.following is not None:
            raise ValueError("a new seal key is waiting already")
        seal = _drawn(random, SEAL_BYTES)
        key_id = seal_key_id(seal)
        if key_id in self.seals:
            raise ValueError("the random bytes are those of a key that is held already")
        return replace(self, seals={**self.seals, key_id: seal}, following=key_id)

    def activated(self, key_id: str) -> FleetKeys:
        """With new seals made with this key from now on.

        Raises:
            ValueError: the key is not held.
        """
        return replace(self, active=key_id, following=None if self.following == key_id else self.following)

    def without(self, key_id: str) -> FleetKeys:
        """Without this seal key: what is sealed with it can never be opened again.

        Raises:
            ValueError: it is active or not held.
        """
        if key_id not in self.seals:
            raise ValueError("no such seal key is held")
        rest = {one: key for one, key in self.seals.items() if one != key_id}
        return replace(self, seals=rest, following=None if self.following == key_id else self.following)

    def to_data(self) -> dict[str, bytes]:
        """The Secret's entries, decoded; with a key that was dropped its entry is to be removed."""
        data = {REVISION: self.revision.key, ACTIVE: self.active.encode()}
        if self.following is not None:
            data[NEXT] = self.following.encode()
        return data | {f"seal-{key_id}": key for key_id, key in self.seals.items()}

    @classmethod
    def from_data(cls, data: Mapping[str, bytes]) -> FleetKeys:
        """Reads the Secret's decoded entries; those of other names are left to whoever wrote them.

        Raises:
            KeysError: an entry is missing, or is no key or id.
        """
        revision = _entry(data, REVISION)
        if len(revision) != REVISION_BYTES:
            raise _broken(REVISION, f"has {len(revision)} bytes in place of {REVISION_BYTES}")
        seals: dict[str, bytes] = {}
        for name, key in data.items():
            if (found := _SEAL.fullmatch(name)) is None:
                continue
            if len(key) != SEAL_BYTES:
                raise _broken(name, f"has {len(key)} bytes in place of {SEAL_BYTES}")
            if seal_key_id(key) != found[1]:
                raise _broken(name, "is not the key of which it has the name")
            seals[found[1]] = key
        active = _held(_entry(data, ACTIVE), ACTIVE, seals)
        following = _held(data[NEXT], NEXT, seals) if NEXT in data else None
        # Who activates a key by hand may leave the entry that announced it.
        return cls(RevisionKey(revision), seals, active, None if following == active else following)


def _drawn(random: Callable[[int], bytes], size: int) -> bytes:
    drawn = random(size)
    if len(drawn) != size:
        raise ValueError(f"{size} random bytes were asked for, {len(drawn)} came")
    return drawn


def _entry(data: Mapping[str, bytes], name: str) -> bytes:
    try:
        return data[name]
    except KeyError:
        raise _broken(name, "is missing") from None


def _held(value: bytes, name: str, seals: Mapping[str, bytes]) -> str:
    """A key's id that stands in an entry. It is shown only when it has the form of one."""
    key_id = value.decode("ascii", "replace").strip()
    if _KEY_ID.fullmatch(key_id) is None:
        raise _broken(name, "is not the id of a key (eight hex digits)")
    if key_id not in seals:
        raise _broken(f"seal-{key_id}", f"is missing, though {name} names it")
    return key_id


def _broken(entry: str, what: str) -> KeysError:
    return KeysError(FLEET_KEYS_BROKEN.because(f"data.{entry}", f"This entry of the fleet's keys {what}."))
