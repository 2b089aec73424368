"""Every check, by the table of manifests."""

from __future__ import annotations

import pytest

from sipgateway.api import accept
from sipgateway.api.codes import CODES
from sipgateway.api.parse import parse_sipgateway
from sipgateway.errors import Finding, Severity
from tests.api.builders import manifest
from tests.api.cases import CASES, Case
from tests.golden import Golden


def findings(case: Case) -> tuple[Finding, ...]:
    """All findings of a case: the parser's, or the checks' when it can be parsed."""
    gateway, found = parse_sipgateway(manifest(case.spec, name=case.name))
    return found if gateway is None else accept.check(gateway)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_manifest_is_refused_and_warned_for_exactly_what_is_wrong_with_it(case: Case) -> None:
    found = findings(case)
    assert {(f.code, f.field) for f in found if f.severity is Severity.ERROR} == case.refusals
    assert {(f.code, f.field) for f in found if f.severity is Severity.WARNING} == case.warnings
    assert len({(f.code, f.field) for f in found}) == len(found)


def test_the_table_has_a_case_for_every_code_that_one_object_can_show() -> None:
    shown = {code for case in CASES for code, _ in case.refusals | case.warnings}
    elsewhere = {
        "WrongApiVersion",
        "ObjectNameInvalid",
        "SecretMissing",
        "SecretNotLabelled",
        "SecretKeyMissing",
        "SecretNotText",
        "SecretEmpty",
        "SecretLineEnd",
        "SecretBlanks",
        "SecretCharacter",
        "GatewayNameTaken",
        "BadEnvironments",
    }
    assert shown | elsewhere == {code.name for code in CODES}
    assert not shown & elsewhere


def test_every_finding_says_why_and_what_to_do(golden: Golden) -> None:
    lines = []
    for case in CASES:
        found = findings(case)
        lines += [f"{case.id}: {f.severity}: {f}" for f in found]
        for finding in found:
            assert finding.message.endswith((".", "?")), finding
            assert len(finding.message.split()) >= 4, finding
            assert finding.action.endswith("."), finding
    golden("findings.txt", "\n".join(lines).encode("ascii", "backslashreplace").decode() + "\n")


def test_a_refusal_of_one_field_does_not_hide_that_of_another() -> None:
    spec = {"proxy": "sip:x", "expireSeconds": 1, "ping": 1, "username": "a b", "retrySeconds": 1}
    gateway, _ = parse_sipgateway(manifest(spec))
    assert gateway is not None
    codes = {f.code for f in accept.check(gateway) if f.severity is Severity.ERROR}
    assert codes == {"ProxyScheme", "NumberCoerced", "PingTooShort", "SipUserInvalid", "RegisterNeedsPassword"}


@pytest.mark.parametrize("name", ["Acme", "a_b", "-a", "a..b", "ä", "a/b"])
def test_a_name_that_kubernetes_does_not_allow_is_refused(name: str) -> None:
    gateway, _ = parse_sipgateway(manifest({"register": False, "proxy": "a.example.com"}, name=name))
    assert gateway is not None
    assert "ObjectNameInvalid" in {f.code for f in accept.check(gateway)}


def test_a_namespace_that_kubernetes_does_not_allow_is_refused() -> None:
    gateway, _ = parse_sipgateway(manifest({"register": False, "proxy": "a.example.com"}, namespace="../voice"))
    assert gateway is not None
    assert {(f.code, f.field) for f in accept.check(gateway)} == {("ObjectNameInvalid", "metadata.namespace")}
