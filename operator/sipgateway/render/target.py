"""target.json: what a ConfigMap holds and where it belongs, so that nobody has to read XML to know it.

In: an effective gateway and its revision, or the text. Out: canonical JSON (one value, one text), or a
`PublishedTarget`. What is read is checked as if an enemy had written it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from sipgateway.api import grammar, limits
from sipgateway.api.gateway import Gateway, Target
from sipgateway.api.names import PROFILE_NAME, is_gateway_name
from sipgateway.api.spec import DirectoryUser
from sipgateway.render.revision import key_id_of

#: A target of the longest names has fewer characters.
_LONGEST = 2048
_KEYS = frozenset({"directory", "gateway", "profile", "registers", "revision"})
_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True)
_DOMAIN = re.compile(grammar.DIRECTORY_DOMAIN, re.ASCII)
_USER = re.compile(grammar.DIRECTORY_USER, re.ASCII)


class TargetError(ValueError):
    """A target that no version of ours writes. Its text says what of it."""


@dataclass(frozen=True, slots=True)
class PublishedTarget:
    """What a ConfigMap says of its gateway.

    Attributes:
        gateway: name on the switch.
        profile: profile that loads it.
        directory: given, it stands in the directory section under this user.
        registers: whether it REGISTERs.
        revision: what read-back must show.
    """

    gateway: str
    profile: str
    directory: DirectoryUser | None
    registers: bool
    revision: str

    @property
    def target(self) -> Target:
        """Where it stands in the switch's configuration."""
        return Target(self.profile, self.directory)

    def to_json(self) -> str:
        """As canonical JSON."""
        user = self.directory
        return _JSON.encode(
            {
                "directory": None if user is None else {"domain": user.domain, "user": user.user},
                "gateway": self.gateway,
                "profile": self.profile,
                "registers": self.registers,
                "revision": self.revision,
            }
        )

    def check(self) -> None:
        """Checks what stands in commands and paths.

        Raises:
            TargetError: a name is none.
        """
        if not is_gateway_name(self.gateway):
            raise TargetError("the gateway's name")
        if PROFILE_NAME.fullmatch(self.profile) is None or len(self.profile) > limits.MAX_PROFILE:
            raise TargetError("the profile's name")
        if self.directory is not None and not _is_directory_user(self.directory):
            raise TargetError("the directory's user")
        if key_id_of(self.revision) is None:
            raise TargetError("the revision")


def target_of(gateway: Gateway, revision: str) -> PublishedTarget:
    """The target of a gateway.

    Raises:
        TargetError: a name cannot stand in commands or paths.
    """
    where = gateway.target
    target = PublishedTarget(gateway.name, where.profile, where.directory, gateway.registers, revision)
    target.check()
    return target


def read_target(text: str) -> PublishedTarget:
    """Reads target.json.

    Raises:
        TargetError: it is not what `to_json` writes, to the last character.
    """
    if len(text) > _LONGEST:
        raise TargetError("the size")
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        raise TargetError("the JSON") from None
    target = _target(found)
    target.check()
    if target.to_json() != text:
        raise TargetError("the way it is written")
    return target


def _target(found: object) -> PublishedTarget:
    if not isinstance(found, dict) or found.keys() != _KEYS:
        raise TargetError("the fields")
    gateway, profile, revision, registers = (found[key] for key in ("gateway", "profile", "revision", "registers"))
    if not (isinstance(gateway, str) and isinstance(profile, str) and isinstance(revision, str)):
        raise TargetError("a field's type")
    if not isinstance(registers, bool):
        raise TargetError("a field's type")
    return PublishedTarget(gateway, profile, _directory(found["directory"]), registers, revision)


def _directory(found: object) -> DirectoryUser | None:
    if found is None:
        return None
    if not isinstance(found, dict) or found.keys() != {"domain", "user"}:
        raise TargetError("the directory")
    domain, user = found["domain"], found["user"]
    if not (isinstance(domain, str) and isinstance(user, str)):
        raise TargetError("a field's type")
    return DirectoryUser(domain, user)


def _is_directory_user(user: DirectoryUser) -> bool:
    return (
        _DOMAIN.fullmatch(user.domain) is not None
        and _USER.fullmatch(user.user) is not None
        and len(user.domain) <= limits.MAX_DIRECTORY_DOMAIN
        and len(user.user) <= limits.MAX_DIRECTORY_USER
    )
