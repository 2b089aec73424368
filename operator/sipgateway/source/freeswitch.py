"""From a `<gateway>` as mod_sofia reads it to a SipGateway's spec that makes the switch do the same.

In: `FoundGateway`. Out: `Imported`: the spec, the password beside it, and notes: what mod_sofia replaces, overrides or
passes over without a word, and what cannot be carried. Pure. Import writes the notes as comments, lint reports them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sipgateway.api.codes import Code
from sipgateway.api.codes.lists import VARIABLE_EMPTY
from sipgateway.api.codes.parameters import PARAMETER_REFUSED, PROXY_SCHEME
from sipgateway.api.codes.structure import VARIABLE_DIRECTION
from sipgateway.api.names import REVISION_VARIABLE, is_gateway_name
from sipgateway.api.params import BY_XML, PARAMS, Grammar, Kind, Param
from sipgateway.errors import Finding, Location
from sipgateway.render.readback import ReadSubscription
from sipgateway.source import codes
from sipgateway.source.documents import shown
from sipgateway.source.found import FoundGateway
from sipgateway.source.truth import FALSE_WORDS, atoi, is_plain_number, is_true, transport

#: Below its first number the value becomes its second (gateway-params.md).
_REPLACED: Final[Mapping[str, tuple[int, int]]] = {
    "expire-seconds": (5, 3600),
    "retry-seconds": (5, 30),
    "timeout-seconds": (5, 60),
}
#: What a number below 5 of the one and below 1 of the other does: nothing. (Negative ones are carried and refused.)
_NOTHING_BELOW: Final[Mapping[str, int]] = {"ping": 5, "908-retry-seconds": 1}
_SUBSCRIPTION_REPLACED: Final[Mapping[str, tuple[int, int]]] = {"expire-seconds": (5, 3600), "retry-seconds": (10, 30)}
_SUBSCRIPTION_FIELDS: Final[Mapping[str, str]] = {
    "expire-seconds": "expireSeconds",
    "retry-seconds": "retrySeconds",
    "content-type": "contentType",
    "username-in-request": "usernameInRequest",
}
#: Rows of which an empty value is used as it is, instead of the default.
_EMPTY_IS_USED: Final = frozenset({"contact-host", "context", "scheme"})
_CREDENTIAL = re.compile(
    r"(?:^|[_.-])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key)(?:[_.-]|$)", re.IGNORECASE
)
_LEFT_OUT: Final = "It is left out."
_EXTRA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Note:
    """A finding on a gateway in XML.

    Attributes:
        finding: with the XML path as its field, and its place.
        field: the manifest's field that it is about, where import writes the comment; empty: the whole.
        outcome: what import made of it, a sentence.
    """

    finding: Finding
    field: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """One gateway, translated.

    Attributes:
        spec: `spec` of the SipGateway in the order of the reference, without gatewayName and passwordFrom.
        password: None without one.
        notes: what is to be said.
        not_loaded: why the switch does not load it at all, in words; None: it does.
        origins: manifest field -> (XML path, place) of what it came from.
    """

    found: FoundGateway
    spec: Mapping[str, object]
    password: str | None = field(repr=False)
    notes: tuple[Note, ...]
    not_loaded: str | None
    origins: Mapping[str, tuple[str, Location]]

    @property
    def name(self) -> str:
        """The name on the switch."""
        return self.found.read.name


def translate(found: FoundGateway) -> Imported:
    """What a gateway is, in the words of a SipGateway."""
    return _Translation(found).result()


def xml_path(gateway: str, inner: str = "") -> str:
    """The field of a finding in XML: `gateway[acme].param[retry-seconds]`."""
    return f"gateway[{shown(gateway)}]" + (f".{inner}" if inner else "")


class _Translation:
    """Collects the spec and the notes of one gateway."""

    def __init__(self, found: FoundGateway) -> None:
        self._found = found
        self._read = found.read
        self._notes: list[Note] = []
        self._origins: dict[str, tuple[str, Location]] = {}
        self._password: str | None = None

    def result(self) -> Imported:
        spec: dict[str, object] = {"profile": self._found.profile or "external"}
        if self._found.directory is not None:
            spec["directory"] = {"domain": self._found.directory.domain, "user": self._found.directory.user}
        extra = self._params(spec)
        lists = {"variables": self._variables(), "subscriptions": self._subscriptions(), "extraParams": extra}
        spec |= {name: entries for name, entries in lists.items() if entries}
        for what, place in self._found.passed_over:
            self._note(codes.IGNORED_ELEMENT, "", place, f"{what}.")
        for name, why, place in self._found.unset:
            message = f"$${{{shown(name)}}} {why}; an empty text stands in its place here."
            self._note(codes.VARIABLE_UNSET, "", place, message)
        if self._found.directory is not None and self._found.profile is None:
            domain = shown(self._found.directory.domain)
            self._note(
                codes.NO_PROFILE, "", self._found.place, f'no profile has <domain name="{domain}" parse="true"/>.'
            )
        return Imported(
            self._found, spec, self._password, tuple(self._notes), self._why_not_loaded(spec), self._origins
        )

    def _why_not_loaded(self, spec: Mapping[str, object]) -> str | None:
        name = self._read.name
        if not is_gateway_name(name) and name.lower() not in {"all", "_all_"}:
            return "its name is empty, too long, or has other characters than letters, digits, _, . and - (fact 11)"
        if spec.get("register", True) is True and not (spec.get("username") and self._password):
            missing = "password" if spec.get("username") else "username"
            return f"register is true and {missing} is not set (fact 13)"
        words = [transport(value) for key, value in self._read.params if key == "register-transport"]
        if None in words:
            return "register-transport is an unknown word (fact 13)"
        if "tls" in words and self._found.tls is False:
            return "register-transport is tls and its profile has no TLS (fact 13)"
        return None

    # Parameters.

    def _params(self, spec: dict[str, object]) -> list[dict[str, str]]:
        """Fills in the table's rows in their order; returns the others."""
        last: dict[str, tuple[str, str, Location]] = {}
        for (name, value), place in zip(self._read.params, self._found.params, strict=True):
            row = BY_XML.get(name)
            key = row.xml if row else name
            if key in last:
                message = f"{shown(name)} stands at {last[key][2]} too; the last one wins."
                self._note(
                    codes.OVERRIDDEN, f"param[{shown(name)}]", place, message, row.field if row else "extraParams"
                )
            last[key] = (name, value, place)
        for row in PARAMS:
            if row.xml in last:
                name, value, place = last.pop(row.xml)
                self._origins[f"spec.{row.field}"] = (f"param[{name}]", place)
                if row.secret:
                    self._origins["spec.passwordFrom"] = (f"param[{name}]", place)
                    self._password = value or None
                elif row.refused is not None:
                    message = f"{row.xml}: {row.refused}."
                    self._note(PARAMETER_REFUSED, f"param[{name}]", place, message, outcome=_LEFT_OUT)
                else:
                    used = self._value(row, value, place)
                    if used is not None:
                        spec[row.field] = used
        return [extra for name, value, place in last.values() for extra in self._extra(name, value, place)]

    def _value(self, row: Param, text: str, place: Location) -> str | int | bool | None:
        if row.kind is Kind.BOOL:
            return self._bool(row, text, place)
        if row.kind is Kind.INT:
            return self._int(row, text, place)
        if row.xml == "register-transport":
            word = transport(text)
            if word is not None and word != text.lower():
                self._coerced(row, place, f'{row.xml}="{shown(text)}" is taken for {word}')
            return text if word is None else word
        if not text:
            if row.xml in _EMPTY_IS_USED:
                what = f"an empty {row.xml} is used as it is, not the default"
                self._coerced(row, place, what, outcome="It is left out, so the default holds.")
            return None
        if row.grammar is Grammar.PROXY and text.lower().startswith("sip:"):
            message = f"`sip:` in front of {row.xml} makes the request URI sip:sip:host (fact 24h)."
            outcome = "`sip:` is left out here: that is surely what was meant."
            self._note(PROXY_SCHEME, f"param[{row.xml}]", place, message, row.field, outcome)
            return text[4:]
        return next((word for word in row.choices if word.lower() == text.lower()), text)

    def _bool(self, row: Param, text: str, place: Location) -> bool:
        used = is_true(text)
        expected = text.lower() in FALSE_WORDS or used
        if (not expected) or (not text and row.default is True):
            self._coerced(row, place, f'{row.xml}="{shown(text)}" is no word for true, so it is false')
        return used

    def _int(self, row: Param, text: str, place: Location) -> int | None:
        number = atoi(text)
        used: int | None = number
        if row.xml in _REPLACED:
            if not text:
                return None
            least, default = _REPLACED[row.xml]
            used = default if number < least else number
        elif 0 <= number < _NOTHING_BELOW.get(row.xml, 0) or (row.xml == "reg-id" and not is_plain_number(text)):
            used = None
        nothing_meant = number == 0 and row.xml in _NOTHING_BELOW and text in {"", "0"}
        if not nothing_meant and not (is_plain_number(text) and used == number):
            then = "it does nothing" if used is None else f"{used} is used"
            if row.xml == "reg-id":
                then = "it is sent as it is written"
            self._coerced(row, place, f'{row.xml}="{shown(text)}" is not taken as it is: {then}')
        return used

    def _extra(self, name: str, value: str, place: Location) -> list[dict[str, str]]:
        path = f"param[{shown(name)}]"
        if not name:
            self._note(codes.IGNORED_ELEMENT, "param", place, "a <param> without name is not read.")
            return []
        lowered = name.lower().replace("_", "-")
        close = difflib.get_close_matches(lowered[:64], BY_XML, n=1, cutoff=0.75)
        message = f"mod_sofia does not read {shown(name)}."
        if name == "cid-type":
            message = "cid-type stands in sample configurations, but nothing reads it."
        elif close:
            message += f" Did you mean {close[0]}?"
        code = codes.UNKNOWN_PARAMETER if close else codes.UNREAD_PARAMETER
        if _CREDENTIAL.search(name) or close == ["password"]:
            outcome = "It is left out, because it looks like a password and extraParams can be read by anybody."
        elif name == "cid-type" or lowered in BY_XML or not _EXTRA_NAME.fullmatch(name) or not value:
            outcome = _LEFT_OUT
        else:
            outcome = "It is kept under extraParams, for switches that were changed to read it."
            self._note(code, path, place, message, "extraParams", outcome)
            return [{"name": name, "value": value}]
        self._note(code, path, place, message, outcome=outcome)
        return []

    # Lists.

    def _variables(self) -> list[dict[str, str]]:
        """What is really set, by leg: the last of equal names, and nothing after an empty one (facts 26, 33)."""
        kept: list[tuple[str, str, set[str], Location]] = []
        for (name, value, direction), place in zip(self._read.variables, self._found.variables, strict=True):
            path = f"variable[{shown(name)}]"
            legs = {"inbound", "outbound"} if direction is None else {direction.lower()} & {"inbound", "outbound"}
            if name.lower() == REVISION_VARIABLE:
                continue
            if not legs:
                message = f'direction="{shown(direction or "")}" sets {shown(name)} on neither leg (fact 26).'
                self._note(VARIABLE_DIRECTION, path, place, message, outcome=_LEFT_OUT)
                continue
            for other, _, others, before in kept:
                if other.lower() == name.lower() and others & legs:
                    others.difference_update(legs)
                    message = f"{shown(name)} is set at {before} too; the last one wins."
                    self._note(codes.OVERRIDDEN, path, place, message, "variables")
            if not value:
                message = f"{shown(name)} is empty, so it is not set (fact 33)."
                self._note(VARIABLE_EMPTY, path, place, message, outcome=_LEFT_OUT)
            elif _CREDENTIAL.search(name):
                message = f"{shown(name)} looks like a password, and variables stand in the manifest."
                self._note(codes.CREDENTIAL_LEFT_OUT, path, place, message, outcome=_LEFT_OUT)
            else:
                kept.append((name, value, legs, place))
        result: list[dict[str, str]] = []
        for name, value, legs, place in kept:
            if legs:
                self._origins[f"spec.variables[{len(result)}]"] = (f"variable[{shown(name)}]", place)
                leg = {} if len(legs) == 2 else {"direction": next(iter(legs))}
                result.append({"name": name, "value": value, **leg})
        return result

    def _subscriptions(self) -> list[dict[str, object]]:
        result: list[dict[str, object]] = []
        for read, place in zip(self._read.subscriptions, self._found.subscriptions, strict=True):
            self._origins[f"spec.subscriptions[{len(result)}]"] = (f"subscription[{shown(read.event)}]", place)
            result.append(self._subscription(read, place))
        return result

    def _subscription(self, read: ReadSubscription, place: Location) -> dict[str, object]:
        fields: dict[str, object] = {}
        path = f"subscription[{shown(read.event)}]"
        for name, value in read.params:  # the last of equal names wins
            target = _SUBSCRIPTION_FIELDS.get(name)
            if target is None:
                message = f"{shown(name)} is not read in a subscription."
                self._note(codes.UNKNOWN_PARAMETER, path, place, message, "subscriptions", _LEFT_OUT)
            elif name in _SUBSCRIPTION_REPLACED:
                least, default = _SUBSCRIPTION_REPLACED[name]
                used = default if atoi(value) < least else atoi(value)
                if not is_plain_number(value) or used != atoi(value):
                    message = f'{name}="{shown(value)}" is not taken as it is: {used} is used (gateway-params.md).'
                    self._note(codes.COERCED, f"{path}.param[{name}]", place, message, "subscriptions")
                fields[target] = used
            elif name == "username-in-request":
                fields[target] = is_true(value)
            else:
                fields[target] = value
        ordered = {target: fields[target] for target in _SUBSCRIPTION_FIELDS.values() if target in fields}
        return {"event": read.event, **ordered}

    # Notes.

    def _coerced(self, row: Param, place: Location, what: str, *, outcome: str = "") -> None:
        self._note(codes.COERCED, f"param[{row.xml}]", place, f"{what} (gateway-params.md).", row.field, outcome)

    def _note(self, code: Code, inner: str, place: Location, message: str, target: str = "", outcome: str = "") -> None:
        finding = code.finding(xml_path(self._read.name, inner), message).at(place)
        self._notes.append(Note(finding, f"spec.{target}" if target else "", outcome))
