"""A carrier's registrar, as far as a switch can tell. In: a request and the time. Out: an answer; bindings inside.

Behaviour is data (`Behaviour`) and may change while it runs, e.g. a password that the carrier changed.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

_DNS_ERROR = (503, "DNS Error")
_UNREACHABLE = (503, "Service Unavailable")
PHRASES = {
    200: "OK",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    500: "Server Internal Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a registrar behaves.

    Attributes:
        mode: `accept`, `silent` (no answer), `unreachable` (port closed), `dns-error`, or a status such as `403`,
            with which every REGISTER is answered.
        password: the right password; `{user}` stands for the digest's user name; empty takes any.
        passwords: other passwords of single users.
        wrong: answer to a wrong password: 403, or 401 (a new challenge, which sofia calls 904).
        realm: of its challenges.
        challenge_from: address its challenges come from, when it is another one (fact 35).
        once_nonce: a nonce is good for one request (fact 38).
        one_binding: one binding per contact: an un-REGISTER that comes late removes the new copy's (fact 16).
        race: share of un-REGISTERs that come after the REGISTER that races with them, 0 to 1.
        latency: seconds for one way.
        options: status that answers OPTIONS, 0 for no answer.
        expires: longest time of a binding, seconds.
    """

    mode: str = "accept"
    password: str = "pw-{user}"
    passwords: Mapping[str, str] = field(default_factory=dict)
    wrong: int = 403
    realm: str = "127.0.0.1"
    challenge_from: str | None = None
    once_nonce: bool = False
    one_binding: bool = True
    race: float = 0.125
    latency: float = 0.0005
    options: int = 200
    expires: int = 86_400

    def changed(self, changes: Mapping[str, object]) -> Behaviour:
        """The same with other values.

        Raises:
            ValueError: an unknown name, or a value of the wrong kind.
        """
        known = {item.name: item for item in fields(self)}
        values: dict[str, object] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"a registrar has no {name!r}")
            values[name] = _converted(name, value, getattr(self, name))
        return replace(self, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Binding:
    """A contact that a registrar keeps.

    Attributes:
        user: address of record's user.
        contact: URI.
        until: seconds since the epoch.
    """

    user: str
    contact: str
    until: float


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an Authorization header proves: the values that the digest was computed from."""

    nonce: str
    username: str
    realm: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back.

    Attributes:
        status: 0 when nothing comes back.
        source: address that it came from; empty when the switch made it up itself (nothing on the wire).
        nonce: of a challenge.
        delay: seconds after the request left.
    """

    status: int
    phrase: str
    source: str = ""
    port: int = 0
    nonce: str = ""
    realm: str = ""
    delay: float = 0.0


class Registrar:
    """One address that gateways register with.

    Args:
        host: name or address, without port.
        port: number.
        behaviour: how it behaves.
        seed: of its chances (nonces and the race of fact 16).
    """

    def __init__(self, host: str, port: int, behaviour: Behaviour, seed: int = 1) -> None:
        self.host = host
        self.port = port
        self.behaviour = behaviour
        self.nonces: dict[str, bool] = {}
        self.races = 0
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._random = random.Random(f"{seed}/{host}:{port}")  # noqa: S311 -- a seeded chance, no secret

    def bindings(self, now: float) -> tuple[Binding, ...]:
        """Bindings that did not expire."""
        return tuple(binding for binding in self._bindings.values() if binding.until > now)

    def is_late(self) -> bool:
        """Whether the next un-REGISTER comes after the REGISTER it races with (fact 16)."""
        late = self.behaviour.one_binding and self._random.random() < self.behaviour.race
        self.races += late
        return late

    def options(self) -> Answer:
        """Its answer to an OPTIONS ping."""
        dead = self._dead()
        if dead is not None:
            return dead
        status = self.behaviour.options
        if not status:
            return Answer(0, "")
        return self._answer(status)

    def register(self, user: str, contact: str, expires: int, shown: Credentials | None, now: float) -> Answer:
        """Its answer to a REGISTER, `expires` 0 to un-register. Bindings change as it says."""
        dead = self._dead()
        if dead is not None:
            return dead
        behaviour = self.behaviour
        if behaviour.mode != "accept":
            status = int(behaviour.mode)
            return self._challenge() if status in {401, 407} else self._answer(status)
        if shown is None or shown.nonce not in self.nonces or shown.realm != behaviour.realm:
            return self._challenge()
        if behaviour.once_nonce:
            if self.nonces[shown.nonce]:
                return self._challenge()
            self.nonces[shown.nonce] = True
        account = shown.username.partition("@")[0]
        right = behaviour.passwords.get(account, behaviour.password.replace("{user}", account))
        if behaviour.password and shown.password != right:
            return self._challenge() if behaviour.wrong in {401, 407} else self._answer(behaviour.wrong)
        key = (user, contact)
        if expires:
            self._bindings[key] = Binding(user, contact, now + min(expires, behaviour.expires))
        else:
            self._bindings.pop(key, None)
        return self._answer(200)

    def forget(self) -> None:
        """Loses every binding, as a registrar that was restarted."""
        self._bindings.clear()

    def _dead(self) -> Answer | None:
        match self.behaviour.mode:
            case "silent":
                return Answer(0, "")
            case "unreachable":
                return Answer(*_UNREACHABLE)
            case "dns-error":
                return Answer(*_DNS_ERROR)
        return None

    def _answer(self, status: int) -> Answer:
        delay = 2 * self.behaviour.latency
        return Answer(status, PHRASES.get(status, "Unknown"), self._address(), self.port, delay=delay)

    def _challenge(self) -> Answer:
        nonce = uuid.UUID(int=self._random.getrandbits(128)).hex
        self.nonces[nonce] = False
        status = 407 if self.behaviour.mode == "407" else 401
        source = self.behaviour.challenge_from or self._address()
        delay = 2 * self.behaviour.latency
        return Answer(status, PHRASES[status], source, self.port, nonce, self.behaviour.realm, delay)

    def _address(self) -> str:
        return self.host.strip("[]") if _is_address(self.host) else f"198.51.100.{1 + sum(self.host.encode()) % 254}"


def parse_registrar(text: str, seed: int = 1) -> tuple[str, Registrar]:
    """Reads `HOST:PORT=MODE[,name=value...]`, e.g. `192.0.2.9:5060=accept,once_nonce=true` or `*=silent`.

    Args:
        text: the words; `*` stands for every address that has no registrar of its own.
        seed: of its chances.

    Returns:
        The address and the registrar.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    address, _, rest = text.partition("=")
    if not address:
        raise ValueError(f"{text!r}: HOST:PORT=MODE is needed")
    words = [word for word in rest.split(",") if word] or ["accept"]
    changes: dict[str, object] = {"mode": words[0]}
    for word in words[1:]:
        name, separator, value = word.partition("=")
        changes[name.replace("-", "_")] = value if separator else "true"
    if address == "*":
        return "*", Registrar("*", 0, Behaviour(password="").changed(changes), seed)
    host, _, port = address.rpartition(":")
    if not host:
        host, port = port, "5060"
    if not port.isdigit():
        raise ValueError(f"{text!r}: the port is no number")
    return f"{host}:{port}", Registrar(host, int(port), Behaviour(realm=host).changed(changes), seed)


def _converted(name: str, value: object, like: object) -> object:
    if name == "mode":
        mode = str(value)
        if mode not in {"accept", "silent", "unreachable", "dns-error"} and not re.fullmatch(r"[1-6]\d\d", mode):
            raise ValueError(f"{mode!r}: no mode of a registrar")
        return mode
    if isinstance(like, bool):
        return value if isinstance(value, bool) else str(value).lower() in {"1", "true", "yes", "on"}
    if isinstance(like, int):
        return int(str(value))
    if isinstance(like, float):
        return float(str(value))
    if name == "passwords":
        if not isinstance(value, Mapping):
            raise ValueError("passwords is a mapping of users to passwords")
        return {str(user): str(password) for user, password in value.items()}
    return value if value is None else str(value)


def _is_address(host: str) -> bool:
    return ":" in host or all(part.isdigit() for part in host.split("."))
