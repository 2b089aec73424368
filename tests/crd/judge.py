"""What a real API server says of a SipGateway, in the codes of the Python checks.

In: a control plane with our CRDs, and any object. Out: a `Verdict`: (code, field) pairs, from a create that is not
carried out (`dryRun=All`), over one connection.

Of the codes that the parser and the checks refuse with, the schema and its CEL rules see all but those that need
another object or a Secret's value. Two are made elsewhere: `WrongApiVersion` never comes to the schema (the path says
the kind), and `ObjectNameInvalid` is the API server's own rule of names. Each code is seen in one of these ways:

| the API server says | code |
|---|---|
| unknown field (strict decoding) | UnknownField, and LiteralPassword for a field like `password` |
| FieldValueTypeInvalid, or "expected int, got float64" (of a rule, on 60.0) | WrongType |
| FieldValueRequired, FieldValueTooLong, FieldValueTooMany | MissingField, TooLong, TooMany |
| FieldValueNotSupported | ChoiceUnknown, PlacementUnknown, VariableDirection: by the field |
| "at least 1 chars long", "less than or equal to" | EmptyValue, NumberTooLarge |
| any other cause | the code that its message begins with |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sipgateway.api.codes import CODES
from sipgateway.api.names import API_VERSION, PLURAL
from tests.controlplane.api import Api, ApiError

#: Code and the path of the field.
Pair: TypeAlias = tuple[str, str]

_BY_REASON = {
    "FieldValueTypeInvalid": "WrongType",
    "FieldValueRequired": "MissingField",
    "FieldValueTooLong": "TooLong",
    "FieldValueTooMany": "TooMany",
}

#: Said beside another cause of the same field, or of rules that were not run because of another cause.
_BESIDE = re.compile(r"must be of type integer with format|should be greater than or equal to")
_NOT_RUN = "some validation rules were not checked"
#: `Invalid value: VALUE: CODE: ...`, or without a value.
_CODE = re.compile(rf"Invalid value: (?:.*: )?({'|'.join(code.name for code in CODES)}): ", re.DOTALL)
#: 60.0 counts as an integer for the schema, and not for the first rule on it.
_NO_INTEGER = "expected int, got float64"
_NAME = re.compile(r"RFC 1123|must be no more than 253 characters")
_UNKNOWN = "strict decoding error: "


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API server says.

    Attributes:
        refusals: code and field of all that is wrong; empty when the object is accepted.
        partial: whether something kept it from looking at everything else.
        unknown: whether it refused unknown fields, and looked no further.
        message: its own words.
    """

    refusals: frozenset[Pair] = frozenset()
    partial: bool = False
    unknown: bool = False
    message: str = ""


class Judge:
    """Asks one API server, over one connection.

    Args:
        api: a connection of somebody who may create SipGateways.
        namespace: where they would be created.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"

    def __call__(self, obj: Mapping[str, Any], *, strict: bool = True) -> Verdict:
        """The verdict on an object; not `strict` drops unknown fields, as an old client's request does."""
        try:
            self._api.create(self._path, obj, dryRun="All", fieldValidation="Strict" if strict else "Ignore")
        except ApiError as error:
            return verdict(error)
        return Verdict()


def verdict(error: ApiError) -> Verdict:
    """What a refusal says."""
    message = str(error.status.get("message"))
    if _UNKNOWN in message:
        return Verdict(frozenset({("UnknownField", "")}), partial=True, unknown=True, message=message)
    causes = error.status.get("details", {}).get("causes", ())
    assert error.code == 422, error
    assert causes, error
    partial = any(_NOT_RUN in cause["message"] for cause in causes)
    return Verdict(frozenset(_pairs(causes)), partial=partial, message=message)


def _pairs(causes: list[dict[str, str]]) -> Iterator[Pair]:
    mistyped = {cause["field"] for cause in causes if cause["reason"] == "FieldValueTypeInvalid"}
    for cause in causes:
        reason, field, message = cause["reason"], cause["field"], cause["message"]
        if reason in _BY_REASON:
            yield _BY_REASON[reason], field
        elif reason == "FieldValueNotSupported":
            if field not in mistyped:
                yield _word(field), field
        elif "should be at least 1 chars long" in message:
            yield "EmptyValue", field
        elif "should be less than or equal to" in message:
            yield "NumberTooLarge", field
        elif field == "metadata.name" and _NAME.search(message):
            yield "ObjectNameInvalid", field
        elif _NO_INTEGER in message:
            if field != "spec":  # a rule of two numbers; each has one of its own
                yield "WrongType", field
        elif _NOT_RUN not in message and not _BESIDE.search(message):
            found = _CODE.match(message)
            assert found, cause
            yield found[1], field


def _word(field: str) -> str:
    if field == "spec.placement":
        return "PlacementUnknown"
    return "VariableDirection" if field.endswith(".direction") else "ChoiceUnknown"
