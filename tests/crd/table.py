"""The table of manifests for a real API server: a sentence each, and what the server must say.

In: the cases of the Python checks (tests/api/cases.py), the parameter table, the examples. Out: `ROWS`. What is said is
a list of regular expressions, each of which must be found in the refusal; an empty list is an accepted manifest.
"""

# ruff: noqa: E501  # a table: one case per line reads better than two
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sipgateway.api import limits
from sipgateway.api.codes import CODES
from sipgateway.api.params import PARAMS, Kind, Param
from tests.api import builders
from tests.api.builders import CALLS, GONE, REGISTERING, Spec, changed
from tests.api.cases import CASES, Case

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"

#: Refusals in the words of Kubernetes, by code; FIELD is the field's path. All others begin with their code.
_WORDS = {
    "UnknownField": r"\.FIELD: field not declared in schema",
    "LiteralPassword": r"\.FIELD: field not declared in schema",
    "WrongType": r"\.FIELD: expected |FIELD in body must be of type |FIELD: .*expected int, got float64",
    "MissingField": r"FIELD: Required value",
    "TooLong": r"FIELD: Too long: may not be more than",
    "TooMany": r"FIELD: Too many: [0-9]+: must have at most",
    "EmptyValue": r"FIELD in body should be at least 1 chars long",
    "NumberTooLarge": r"FIELD in body should be less than or equal to",
    "ChoiceUnknown": r"FIELD: Unsupported value: ",
    "VariableDirection": r"FIELD: Unsupported value: ",
    "PlacementUnknown": r"FIELD: Unsupported value: ",
    "ObjectNameInvalid": r"FIELD: Invalid value: .*RFC 1123",
}
#: Whose rule stands at the list, or at `spec`, and not at the field.
_ELSEWHERE = {"DigestTooLong", "VariableTwice", "SubscriptionTwice", "ExtraParamTwice"}
_ACTIONS = {code.name: code.action for code in CODES}

#: Server-side apply is read as YAML, where these cannot stand; in JSON our own rule refuses them.
_NOT_YAML = re.compile("[\x7f\ufffe\uffff]")
#: What kubectl and server-side apply make of a manifest before the schema sees it: (what is said, our codes).
_OTHERWISE: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "expire as a whole float": ((), frozenset()),  # kubectl writes 60.0 as 60
    "username with a control character U+0085": (("SipUserInvalid",), frozenset({"SipUserInvalid"})),  # a line end
    "null is not set": ((r"spec\.ping in body must be of type integer: .null.",), frozenset()),  # a create drops nulls
}


@dataclass(frozen=True)
class Row:
    """One manifest.

    Attributes:
        sentence: what is tried.
        manifest: the object, without a namespace.
        said: what a refusal must hold; empty when it is accepted.
        codes: our codes that the refusal names, and no others.
    """

    sentence: str
    manifest: dict[str, Any]
    said: tuple[str, ...] = ()
    codes: frozenset[str] = frozenset()


def manifest(spec: object, *, name: str, **metadata: Any) -> dict[str, Any]:
    """A SipGateway without a namespace: where it goes is said elsewhere."""
    obj = builders.manifest(spec, name=name, **metadata)
    del obj["metadata"]["namespace"]
    return obj


def _of_case(number: int, case: Case) -> Row:
    name = f"case-{number}" if case.name == "acme" else case.name
    obj = manifest(case.spec, name=name)
    if case.id in _OTHERWISE:
        return Row(case.id, obj, *_OTHERWISE[case.id])
    if _NOT_YAML.search(json.dumps(case.spec, ensure_ascii=False)):
        return Row(case.id, obj, ("control characters are not allowed",))
    ours = frozenset(code for code, _ in case.refusals if code not in _WORDS)
    return Row(case.id, obj, tuple(_said(code, field) for code, field in sorted(case.refusals)), ours)


def _said(code: str, field: str) -> str:
    if code in _WORDS:
        return _WORDS[code].replace("FIELD", re.escape(field))
    place = "spec[^:]*" if code in _ELSEWHERE else re.escape(field)
    return rf"{place}: Invalid value: (?:.*: )?{code}: .*{re.escape(_ACTIONS[code])}"


def _row(sentence: str, spec: Spec, *said: str, name: str, codes: str = "") -> Row:
    return Row(sentence, manifest(spec, name=name), said, frozenset(codes.split()))


def _bounds(param: Param) -> Iterator[Row]:
    """A number's bounds are allowed, and what is beyond them is not."""
    base = changed(CALLS, rfc5626=True) if param.field == "regId" else CALLS
    field, low, high = param.field, param.minimum or 0, param.maximum or 0
    more = {"pingMin": {"pingMax": high}}.get(field, {})
    for value in (low, high):
        yield _row(f"{field} may be {value}", changed(base, **{field: value}, **more), name=_name(field, value))
    too_low = rf"spec\.{field} in body should be greater than or equal to {low}"
    yield _row(
        f"{field} may not be {low - 1}",
        changed(base, **{field: low - 1}, **more),
        too_low,
        name=_name(field, low - 1),
        codes={"ping": "PingTooShort"}.get(
            field, "NumberTooSmall" if field in {"pingMin", "pingMax", "regId"} else "NumberCoerced"
        )
        + (" PingBounds" if field == "pingMax" else ""),
    )
    too_high = rf"spec\.{field} in body should be less than or equal to {high}"
    beyond = changed(base, **{field: high + 1}, **({"pingMax": high} if field == "pingMin" else {}))
    codes = "PingBounds" if field == "pingMin" else ""
    yield _row(f"{field} may not be {high + 1}", beyond, too_high, name=_name(field, high + 1), codes=codes)


def _name(field: str, value: int) -> str:
    return f"{field.lower()}-{'minus-' if value < 0 else ''}{abs(value)}"


def _types(param: Param) -> Iterator[Row]:
    """A quoted true is a text, and an unquoted number is none."""
    wrong: object = 1 if param.kind is Kind.TEXT else "true"
    said = _WORDS["WrongType"].replace("FIELD", rf"spec\.{param.field}")
    yield _row(
        f"{param.field} may not be {wrong!r}",
        changed(CALLS, **{param.field: wrong}),
        said,
        name=f"type-{param.field.lower()}",
    )


def _examples() -> Iterator[Row]:
    for path in sorted(EXAMPLES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            if document["kind"] == "SipGateway":
                obj = {**document, "metadata": {"name": f"example-{document['metadata']['name']}"}}
                if document["metadata"]["name"] == document["spec"].get("gatewayName", document["metadata"]["name"]):
                    obj["metadata"]["name"] = document["metadata"]["name"]
                yield Row(f"the example {path.stem} is accepted", obj)


def _without_spec(name: str) -> dict[str, Any]:
    obj = manifest({}, name=name)
    del obj["spec"]
    return obj


_VARIABLE = {"name": "a", "value": "1"}

_MORE: tuple[Row, ...] = (
    _row("A name of 242 characters leaves room for the ConfigMap's", changed(CALLS), name="n" * limits.MAX_OBJECT_NAME),
    _row(
        "A name of 243 characters does not",
        changed(CALLS),
        r"metadata\.name: Too long: may not be more than 242",
        name="n" * (limits.MAX_OBJECT_NAME + 1),
    ),
    _row("Kubernetes knows no names in capitals", changed(CALLS), r"metadata\.name: Invalid value: .*RFC 1123", name="Acme"),
    _row("An object named all may not be a gateway named all", changed(CALLS, gatewayName="ALL"), r"spec\.gatewayName: .*all",
         name="reserved-twice", codes="GatewayNameReserved"),
    _row("255 umlauts are 255 characters", changed(CALLS, realm="\u00e4" * 255), name="umlauts-255"),
    _row("256 umlauts are too many", changed(CALLS, realm="\u00e4" * 256), r"spec\.realm: Too long", name="umlauts-256"),
    _row("2048 characters of four bytes are a variable's value",
         changed(CALLS, variables=[{"name": "a", "value": "\U0001f4de" * 2048}]), name="astral-2048"),
    _row("2049 are none", changed(CALLS, variables=[{"name": "a", "value": "\U0001f4de" * 2049}]),
         r"spec\.variables\[0\]\.value: Too long", name="astral-2049"),
    _row("16 subscriptions are kept up", changed(CALLS, subscriptions=[{"event": f"e{n}"} for n in range(16)]), name="events-16"),
    _row("17 are too many", changed(CALLS, subscriptions=[{"event": f"e{n}"} for n in range(17)]),
         r"spec\.subscriptions: Too many: 17", name="events-17"),
    _row("32 extra parameters pass", changed(CALLS, extraParams=[{"name": f"x{n}", "value": "1"} for n in range(32)]), name="extra-32"),
    _row("33 do not", changed(CALLS, extraParams=[{"name": f"x{n}", "value": "1"} for n in range(33)]),
         r"spec\.extraParams: Too many: 33", name="extra-33"),
    _row("Two mistakes are both told", changed(CALLS, proxy="sip:a", ping=1), r"spec\.proxy: .*ProxyScheme", r"spec\.ping: .*PingTooShort",
         name="two-mistakes", codes="ProxyScheme PingTooShort"),
    _row("A gateway may be suspended and nothing else", changed(REGISTERING, suspend=True), name="suspended-too"),
    Row("There is no SipGateway without a spec", {**manifest({}, name="no-spec"), "spec": None}, (r"spec in body must be of type object: .null.",)),
    Row("An object without the word spec has none either", _without_spec("no-spec-at-all"), (r"spec: Required value",)),
    Row("An empty spec registers, so it lacks much", manifest({}, name="empty-spec"),
        ("RegisterNeedsUsername", "RegisterNeedsPassword", "NoDestination"),
        frozenset({"RegisterNeedsUsername", "RegisterNeedsPassword", "NoDestination"})),
    Row("A spec is no list", {**manifest({}, name="spec-list"), "spec": []}, (r"\.spec: expected map, got ",)),
    Row("Beside spec there is nothing", {**manifest(changed(CALLS), name="beside"), "data": {"a": "1"}},
        (r"\.data: field not declared in schema",)),
    Row("metadata is Kubernetes' own", manifest(changed(CALLS), name="metadata", switch="default"),
        (r"metadata\.switch: field not declared in schema|unknown field \"metadata\.switch\"",)),
    Row("labels and annotations are free", manifest(changed(CALLS), name="labels", labels={"carrier": "acme"},
                                                    annotations={"example.com/owner": "voice"})),
    Row("what is said of a status in a manifest is dropped", {**manifest(changed(CALLS), name="status-given"),
                                                              "status": {"registered": "2/2"}}),
    _row("A field taken away is not there", changed(REGISTERING, contactHost=GONE), name="gone"),
    _row("A variable without a direction is on both legs", changed(CALLS, variables=[_VARIABLE]), name="both-legs"),
)  # fmt: skip

_SETTABLE = [param for param in PARAMS if not param.secret and param.refused is None]

ROWS: tuple[Row, ...] = (
    *(_of_case(number, case) for number, case in enumerate(CASES)),
    *(row for param in _SETTABLE if param.kind is Kind.INT for row in _bounds(param)),
    *(row for param in _SETTABLE for row in _types(param)),
    *_examples(),
    *_MORE,
)
