"""Whether an API server and the Python checks agree about one SipGateway, and what the difference is.

In: an object and a `Judge`. Out: words, empty when they agree. They agree when both accept it; or both refuse it, for
the same codes at the same fields, as far as each of them looked:

* The API server names unknown fields alone: it is then asked again without them.
* It runs no CEL rule when the schema's types, sizes or words are violated: then it names some of Python's refusals.
* The Python checks do not run on what cannot be parsed: then only the codes of the parser are compared.
* A rule of a list, of the digest's length, or of the object is shown at the list, at `spec` or at the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from sipgateway.api import accept
from sipgateway.api.crd import object_schema
from sipgateway.api.parse import parse_sipgateway
from sipgateway.errors import Finding, Severity
from tests.crd.judge import Pair, Verdict

_FIELDS = cast("dict[str, Any]", object_schema())["properties"]

#: Codes of the parser.
_UNKNOWN = frozenset({"UnknownField", "LiteralPassword"})
PARSED = _UNKNOWN | {
    "WrongType",
    "MissingField",
    "TooLong",
    "TooMany",
    "VariableDirection",
    "PlacementUnknown",
    "WrongApiVersion",
}


_NO_NAME: Pair = ("ObjectNameInvalid", "metadata.name")


def difference(judge: Callable[..., Verdict], obj: Mapping[str, Any]) -> str:
    """What they do not agree about, with the manifest; empty when they agree."""
    seen = dict(obj)
    verdict = judge(seen)
    if verdict.unknown:
        findings = parse_sipgateway(seen)[1]
        if not any(finding.code in PARSED for finding in findings):
            return _told(obj, "the API server finds an unknown field, Python none", verdict, findings)
        verdict = judge(seen, strict=False)
        seen = pruned(seen)
    gateway, findings = parse_sipgateway(seen)
    if gateway is not None:
        findings = accept.check(gateway)
    refused = _refused(findings)
    if any(code in _UNKNOWN for code, _ in refused):
        return _told(obj, "Python finds an unknown field, the API server none", verdict, findings)
    here = {_comparable(pair) for pair in refused}
    there = {_comparable(pair) for pair in verdict.refusals}
    if _NO_NAME in here & there:  # what else is wrong with it, the two say differently
        here, there = ({pair for pair in side if pair[1] != "metadata.name"} | {_NO_NAME} for side in (here, there))
    if gateway is None:
        there = {pair for pair in there if pair[0] in PARSED}
    same = bool(here) == bool(there) and (there <= here if verdict.partial else there == here)
    return "" if same else _told(obj, "they differ", verdict, findings)


def pruned(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object without the fields that the schema does not have, as the API server prunes it."""
    return {
        key: value if key == "metadata" else _pruned(value, _FIELDS[key])
        for key, value in obj.items()
        if key in _FIELDS
    }


def _pruned(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        return {key: _pruned(inner, fields[key]) for key, inner in value.items() if key in fields}
    if isinstance(value, list):
        return [_pruned(item, schema.get("items", {})) for item in value]
    return value


def _refused(findings: Iterable[Finding]) -> set[Pair]:
    return {(finding.code, finding.field) for finding in findings if finding.severity is Severity.ERROR}


def _comparable(pair: Pair) -> Pair:
    code, field = pair
    if code == "DigestTooLong":
        return code, "spec"
    if code in {"VariableTwice", "SubscriptionTwice", "ExtraParamTwice"}:
        return code, field.partition("[")[0]
    return pair


def _told(obj: Mapping[str, Any], what: str, verdict: Verdict, findings: Iterable[Finding]) -> str:
    return (
        f"{what}\nmanifest: {json.dumps(obj, ensure_ascii=True)}\nAPI server: {sorted(verdict.refusals)} "
        f"(partial: {verdict.partial}) {verdict.message}\nPython: {sorted(_refused(findings))}"
    )
