"""From a plain mapping (parsed YAML or JSON) to a `SipGateway`, or to findings that say why not.

In: any mapping. Out: the frozen spec with types, lengths and list sizes checked, unknown fields refused with "did you
mean". What values mean is judged in accept.py. Never raises, whatever comes in.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar, cast

from sipgateway.api import limits
from sipgateway.api.codes import structure as codes
from sipgateway.api.codes.code import Code
from sipgateway.api.names import API_VERSION, KIND, MAX_GATEWAY_NAME
from sipgateway.api.params import BY_FIELD, BY_XML, PARAMS, Kind, Param
from sipgateway.api.spec import (
    PLACEMENTS,
    Direction,
    DirectoryUser,
    ExtraParam,
    ParamValue,
    Placement,
    SecretKeyRef,
    SipGateway,
    Spec,
    Subscription,
    Variable,
)
from sipgateway.errors import Finding

_T = TypeVar("_T")

#: Rows that are fields of `spec`: all but the password, which only comes from a Secret.
SPEC_PARAMS: tuple[Param, ...] = tuple(p for p in PARAMS if not p.secret)

_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA_FIELDS = (
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "generation",
    "creationTimestamp",
    "resourceVersion",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "generateName",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_OWN_FIELDS = (
    "switch",
    "profile",
    "gatewayName",
    "placement",
    "directory",
    "suspend",
    "usernameFrom",
    "passwordFrom",
    "variables",
    "subscriptions",
    "extraParams",
)

#: Every field of `spec`, in the order of the reference.
SPEC_FIELDS: tuple[str, ...] = (*_OWN_FIELDS, *(p.field for p in SPEC_PARAMS))


def parse_sipgateway(obj: Mapping[str, object]) -> tuple[SipGateway | None, tuple[Finding, ...]]:
    """Reads one SipGateway object.

    Args:
        obj: the whole object with apiVersion, kind, metadata and spec. A null counts as not given, as for the API
            server.

    Returns:
        The object, or None when there is a finding; and all findings, in the order of the fields.
    """
    reader = _Reader()
    gateway = reader.sipgateway(obj)
    return (None if reader.findings else gateway), tuple(reader.findings)


class _Reader:
    """Collects findings while it reads; every method returns something of the right type, whatever comes in."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def sipgateway(self, obj: object) -> SipGateway:
        top = self._mapping(obj, "", _TOP_FIELDS)
        if top is None:
            return SipGateway(namespace="", name="", spec=Spec())
        for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
            given = top.get(field)
            if given != wanted:
                shown = "is not set" if given is None else f"is {_shown(given)}"
                self._add(codes.WRONG_API_VERSION, field, f"{field} {shown}.", f"Write `{field}: {wanted}`.")
        metadata = self._mapping(top.get("metadata"), "metadata", _METADATA_FIELDS)
        if metadata is None:
            metadata = {}
            if not self._seen("metadata"):
                self._missing("metadata", "the object has no metadata, so no name.")
        elif not metadata.get("name"):
            self._missing("metadata.name", "the object has no name.")
        name = self._text(metadata, "metadata", "name", limits.MAX_OBJECT_NAME)
        spec = self._spec(top.get("spec"))
        generation = metadata.get("generation")
        return SipGateway(
            namespace=self._text(metadata, "metadata", "namespace", 63) or "default",
            name=name or "",
            spec=spec,
            uid=str(metadata.get("uid") or ""),
            generation=generation if isinstance(generation, int) else 0,
            created=_timestamp(metadata.get("creationTimestamp")),
        )

    def _spec(self, value: object) -> Spec:
        if value is None:
            self._missing("spec", "the object has no spec.")
            return Spec()
        spec = self._mapping(value, "spec", SPEC_FIELDS)
        if spec is None:
            return Spec()
        defaults = Spec()
        switch = self._text(spec, "spec", "switch", limits.MAX_SWITCH)
        profile = self._text(spec, "spec", "profile", limits.MAX_PROFILE)
        gateway_name = self._text(spec, "spec", "gatewayName", MAX_GATEWAY_NAME)
        return Spec(
            switch=defaults.switch if switch is None else switch,
            profile=defaults.profile if profile is None else profile,
            gateway_name=gateway_name,
            placement=self._placement(spec),
            directory=self._directory(spec.get("directory")),
            suspend=self._boolean(spec, "spec", "suspend") or False,
            params=self._params(spec),
            username_from=self._secret_source(spec, "usernameFrom"),
            password_from=self._secret_source(spec, "passwordFrom"),
            variables=self._list(spec, "variables", limits.MAX_VARIABLES, self._variable),
            subscriptions=self._list(spec, "subscriptions", limits.MAX_SUBSCRIPTIONS, self._subscription),
            extra_params=self._list(spec, "extraParams", limits.MAX_EXTRA_PARAMS, self._extra_param),
        )

    def _params(self, spec: Mapping[str, object]) -> Mapping[str, ParamValue]:
        values: dict[str, ParamValue] = {}
        for param in SPEC_PARAMS:
            value: ParamValue | None
            if param.kind is Kind.BOOL:
                value = self._boolean(spec, "spec", param.field)
            elif param.kind is Kind.INT:
                value = self._integer(spec, "spec", param.field)
            else:
                value = self._text(spec, "spec", param.field, param.max_length)
            if value is not None:
                values[param.field] = value
        return MappingProxyType(values)

    def _placement(self, spec: Mapping[str, object]) -> Placement:
        value = self._text(spec, "spec", "placement")
        if value is not None and value not in PLACEMENTS:
            self._add(codes.PLACEMENT_UNKNOWN, "spec.placement", f"{_shown(value)} is not a placement.")
        return "All"

    def _directory(self, value: object) -> DirectoryUser | None:
        path = "spec.directory"
        fields = self._mapping(value, path, ("domain", "user"))
        if fields is None:
            return None
        return DirectoryUser(
            domain=self._required_text(fields, path, "domain", limits.MAX_DIRECTORY_DOMAIN),
            user=self._required_text(fields, path, "user", limits.MAX_DIRECTORY_USER),
        )

    def _secret_source(self, spec: Mapping[str, object], field: str) -> SecretKeyRef | None:
        path = f"spec.{field}"
        source = self._mapping(spec.get(field), path, ("secretKeyRef",))
        if source is None:
            return None
        path = f"{path}.secretKeyRef"
        if source.get("secretKeyRef") is None:
            self._missing(path, f"{field} names no Secret.")
            return None
        reference = self._mapping(source["secretKeyRef"], path, ("name", "key"))
        if reference is None:
            return None
        return SecretKeyRef(
            name=self._required_text(reference, path, "name", limits.MAX_SECRET_NAME),
            key=self._required_text(reference, path, "key", limits.MAX_SECRET_KEY),
        )

    def _variable(self, value: object, path: str) -> Variable:
        fields = self._item(value, path, ("name", "value", "direction"))
        direction = self._text(fields, path, "direction")
        if direction is not None and direction not in {"inbound", "outbound"}:
            if direction == "both":
                message = '"both" sets the variable on neither leg, silently (fact 26).'
                action = "Remove direction: without one the variable is set on both legs."
            else:
                message = f"{_shown(direction)} sets the variable on neither leg, silently (fact 26)."
                action = codes.VARIABLE_DIRECTION.action
            self._add(codes.VARIABLE_DIRECTION, f"{path}.direction", message, action)
            direction = None
        return Variable(
            name=self._required_text(fields, path, "name", limits.MAX_VARIABLE_NAME),
            value=self._required_text(fields, path, "value", limits.MAX_VARIABLE_VALUE),
            direction=cast("Direction | None", direction),
        )

    def _subscription(self, value: object, path: str) -> Subscription:
        known = ("event", "expireSeconds", "retrySeconds", "contentType", "usernameInRequest")
        fields = self._item(value, path, known)
        return Subscription(
            event=self._required_text(fields, path, "event", limits.MAX_EVENT),
            expire_seconds=self._integer(fields, path, "expireSeconds"),
            retry_seconds=self._integer(fields, path, "retrySeconds"),
            content_type=self._text(fields, path, "contentType", limits.MAX_CONTENT_TYPE),
            username_in_request=self._boolean(fields, path, "usernameInRequest"),
        )

    def _extra_param(self, value: object, path: str) -> ExtraParam:
        fields = self._item(value, path, ("name", "value"))
        return ExtraParam(
            name=self._required_text(fields, path, "name", limits.MAX_EXTRA_NAME),
            value=self._required_text(fields, path, "value", limits.MAX_EXTRA_VALUE),
        )

    # Below: one method per JSON type. `None` means not given, or given in a way that was reported.

    def _mapping(self, value: object, path: str, known: Sequence[str]) -> Mapping[str, object] | None:
        if value is None and path:
            return None
        if not isinstance(value, Mapping):
            self._wrong_type(path, value, "a mapping (`name: value` lines)")
            return None
        for key in value:
            if not isinstance(key, str) or key not in known:
                self._unknown(key, path, known)
        return value

    def _item(self, value: object, path: str, known: Sequence[str]) -> Mapping[str, object]:
        if value is None:
            self._wrong_type(path, value, "a mapping (`name: value` lines)")
        return self._mapping(value, path, known) or {}

    def _list(
        self, spec: Mapping[str, object], field: str, most: int, read: Callable[[object, str], _T]
    ) -> tuple[_T, ...]:
        path = f"spec.{field}"
        value = spec.get(field)
        if value is None:
            return ()
        if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
            self._wrong_type(path, value, "a list (lines that begin with `- `)")
            return ()
        if len(value) > most:
            self._add(codes.TOO_MANY, path, f"{len(value)} entries, {most} are allowed.")
            return ()
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(value))

    def _text(self, fields: Mapping[str, object], path: str, field: str, most: int | None = None) -> str | None:
        value = fields.get(field)
        if value is None:
            return None
        where = f"{path}.{field}"
        if not isinstance(value, str):
            self._wrong_type(where, value, "a text", "Put the value into quotes.")
            return None
        if most is not None and len(value) > most:
            self._add(codes.TOO_LONG, where, f"{len(value)} characters, {most} are allowed.")
            return None
        return str(value)

    def _required_text(self, fields: Mapping[str, object], path: str, field: str, most: int) -> str:
        if fields.get(field) is None and not self._seen(path):
            self._missing(f"{path}.{field}", f"{field} is not set.")
        return self._text(fields, path, field, most) or ""

    def _boolean(self, fields: Mapping[str, object], path: str, field: str) -> bool | None:
        value = fields.get(field)
        if value is None or isinstance(value, bool):
            return value
        action = "Write true or false, without quotes."
        self._wrong_type(f"{path}.{field}", value, "true or false", action)
        return None

    def _integer(self, fields: Mapping[str, object], path: str, field: str) -> int | None:
        value = fields.get(field)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)
        self._wrong_type(f"{path}.{field}", value, "a whole number", "Write the number in digits, without quotes.")
        return None

    def _unknown(self, key: object, path: str, known: Sequence[str]) -> None:
        shown = _name(key)
        where = f"{path}.{shown}" if path else shown
        if path == "spec" and difflib.get_close_matches(_plain(str(key))[:64], ("password",), n=1, cutoff=0.85):
            self._add(codes.LITERAL_PASSWORD, where, "a password never stands in a manifest.")
            return
        close = _nearest(str(key), known, in_spec=path == "spec")
        if close is not None:
            message = f"there is no field {shown}; did you mean {close}?"
            self._add(codes.UNKNOWN_FIELD, where, message, f"Write {close}.")
        elif path == "spec" and key == "cid-type":
            message = "there is no field cid-type: it stands in sample configurations, but nothing reads it."
            self._add(codes.UNKNOWN_FIELD, where, message, "Remove it.")
        else:
            self._add(codes.UNKNOWN_FIELD, where, f"there is no field {shown}.")

    def _missing(self, path: str, message: str) -> None:
        self._add(codes.MISSING_FIELD, path, message, f"Add {path.rsplit('.', 1)[-1]}.")

    def _wrong_type(self, path: str, value: object, wanted: str, action: str | None = None) -> None:
        message = f"this is {_type_name(value)}, not {wanted}."
        self._add(codes.WRONG_TYPE, path, message, f"Write {wanted}." if action is None else action)

    def _seen(self, path: str) -> bool:
        return any(finding.field == path for finding in self.findings)

    def _add(self, code: Code, path: str, message: str, action: str | None = None) -> None:
        self.findings.append(code.finding(path, message, action))


def _nearest(key: str, known: Iterable[str], *, in_spec: bool) -> str | None:
    """The field that was probably meant: FreeSWITCH's own name of it, or one that differs by a typo."""
    if in_spec and key in BY_XML and not BY_XML[key].secret:
        return BY_XML[key].field
    by_plain = {_plain(name): name for name in known}
    if in_spec:
        by_plain |= {_plain(param.xml): field for field, param in BY_FIELD.items() if not param.secret}
        by_plain[_plain("passwordSecretRef")] = "passwordFrom"
    matches = difflib.get_close_matches(_plain(key)[:64], by_plain, n=1, cutoff=0.75)
    return by_plain[matches[0]] if matches else None


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def _name(key: object) -> str:
    text = key if isinstance(key, str) else repr(key)
    text = text if len(text) <= 64 else f"{text[:61]}..."
    return text if text.isprintable() else ascii(text)


def _shown(value: object) -> str:
    text = ascii(value) if not isinstance(value, str) else f'"{value}"'
    text = text if len(text) <= 66 else f"{text[:63]}..."
    return text if text.isprintable() else ascii(text)


def _type_name(value: object) -> str:
    names = ((bool, "true or false"), (int, "a number"), (float, "a number"), (str, "a text"), (Mapping, "a mapping"))
    if value is None:
        return "nothing"
    return next((name for kind, name in names if isinstance(value, kind)), "a list or another type")


def _timestamp(value: object) -> str:
    """RFC 3339 text; a YAML reader may have made a datetime of it."""
    if isinstance(value, str):
        return value
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if callable(isoformat) else ""
