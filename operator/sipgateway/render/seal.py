"""Seals: a secret value made unreadable, so that it opens at one place only and with the fleet's key.

In: `FleetKeys`, the place, a parameter's name and value. Out: `KEYID:BASE64`, and back. AES-SIV (RFC 5297) is
deterministic: the same value at the same place gives the same text, so that a ConfigMap changes only when something
did. The place is associated data: a seal that was moved does not open. docs/security.md says what it does not hide.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from sipgateway.errors import Finding, InputError
from sipgateway.render.codes import SEAL_BROKEN, SEAL_KEY_UNKNOWN
from sipgateway.render.keys import FleetKeys

#: Values are filled up to a multiple of this, so that a seal tells a password's length only roughly.
BLOCK = 32

_VERSION = b"sipgateway/seal/1"
_FORMAT = re.compile(r"([0-9a-f]{8}):([A-Za-z0-9+/]+={0,2})", re.ASCII)
_END = b"\x80"


class SealError(InputError):
    """A seal does not open.

    Attributes:
        unknown_key: id of the key that is not held; None when that is not the reason.
    """

    def __init__(self, finding: Finding, unknown_key: str | None = None) -> None:
        super().__init__(finding)
        self.unknown_key = unknown_key


@dataclass(frozen=True, slots=True)
class Place:
    """Where seals open: all of it is bound to them.

    Attributes:
        namespace: of the fleet.
        switch: the fleet.
        config_map: name of the ConfigMap.
        gateway: gateway name on the switch.
    """

    namespace: str
    switch: str
    config_map: str
    gateway: str


def seal(keys: FleetKeys, place: Place, parameter: str, value: str) -> str:
    """Seals a value with the active key: `KEYID:BASE64`."""
    plain = value.encode("utf-8", "surrogatepass") + _END
    plain += bytes(-len(plain) % BLOCK)
    sealed = AESSIV(keys.seals[keys.active]).encrypt(plain, _bound_to(place, parameter))
    return f"{keys.active}:{base64.b64encode(sealed).decode()}"


def unseal(keys: FleetKeys, place: Place, parameter: str, sealed: str) -> str:
    """Opens a seal.

    Raises:
        SealError: the key is not held (`unknown_key` says which), or it was edited, or it was made for another place.
    """
    found = _FORMAT.fullmatch(sealed)
    if found is None:
        raise _broken(parameter, "is no seal")
    key = keys.seals.get(found[1])
    if key is None:
        held = ", ".join(keys.ids)
        what = f"{parameter} is sealed with key {found[1]}; held here: {held}."
        raise SealError(SEAL_KEY_UNKNOWN.because(parameter, what), found[1])
    try:
        data = base64.b64decode(found[2], validate=True)
        plain = AESSIV(key).decrypt(data, _bound_to(place, parameter))
    except (InvalidTag, binascii.Error, ValueError):
        raise _broken(parameter, "does not open here") from None
    if base64.b64encode(data) != found[2].encode():  # base64 has spare bits: one value shall have one text
        raise _broken(parameter, "is not written as seals are")
    value, end, rest = plain.rpartition(_END)
    if not end or rest.strip(b"\0") or len(rest) >= BLOCK:
        raise _broken(parameter, "opens to what no version has sealed")
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise _broken(parameter, "opens to what no version has sealed") from None


def _bound_to(place: Place, parameter: str) -> list[bytes]:
    """AES-SIV takes a list of texts and keeps them apart by itself."""
    texts = place.namespace, place.switch, place.config_map, place.gateway, parameter
    return [_VERSION, *(text.encode("utf-8", "surrogatepass") for text in texts)]


def _broken(parameter: str, what: str) -> SealError:
    return SealError(SEAL_BROKEN.because(parameter, f"The sealed {parameter} {what}."))
