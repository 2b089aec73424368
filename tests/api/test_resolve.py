"""From a SipGateway and Secrets to the effective gateway, and the checks of what Secrets hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sipgateway.api import accept
from sipgateway.api.codes import CODES
from sipgateway.api.gateway import Parameter
from sipgateway.api.params import PARAMS
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView, resolve
from sipgateway.errors import Finding, Severity
from tests.api import strategies
from tests.api.builders import CALLS, GONE, PASSWORD, REGISTERING, USERNAME, changed, gateway, manifest, secrets
from tests.api.cases import CASES
from tests.profiles import thorough

CANARY = "canary-5e2c9d"


def findings_of(password: bytes = b"good", username: bytes = b"acme", **changes: object) -> tuple[Finding, ...]:
    """Findings on the values of Secrets."""
    spec = changed(REGISTERING, username=GONE, usernameFrom=USERNAME, **changes)
    effective, missing = resolve(gateway(spec), secrets(password, username))
    return missing if effective is None else accept.check_effective(effective)


def test_parameters_are_text_in_the_tables_order() -> None:
    case = next(case for case in CASES if case.id == "everything at once")
    effective, findings = resolve(gateway(case.spec), secrets(b"pw"))
    assert not findings
    assert effective is not None
    names = [parameter.name for parameter in effective.parameters]
    assert names == [p.xml for p in PARAMS if p.refused is None] + ["x-mode"]
    assert effective.get("register") == "true"
    assert effective.get("caller-id-in-from") == "true"
    assert effective.get("extension-in-contact") == "false"
    assert effective.get("expire-seconds") == "600"
    assert effective.get("password") == "pw"
    assert effective.name == "acme_main"
    assert (effective.target.profile, effective.target.directory) == ("carriers", gateway(case.spec).spec.directory)


def test_only_values_of_secrets_are_secret() -> None:
    spec = changed(REGISTERING, username=GONE, usernameFrom=USERNAME)
    effective, _ = resolve(gateway(spec), secrets(b"pw", b"acme"))
    assert effective is not None
    assert effective.parameters == (
        Parameter("username", "acme", secret=True),
        Parameter("password", "pw", secret=True),
        Parameter("proxy", "sip.example.com"),
        Parameter("contact-host", "192.0.2.10"),
    )


def test_a_parameter_that_the_manifest_does_not_have_is_not_set() -> None:
    effective, _ = resolve(gateway(CALLS), {})
    assert effective is not None
    assert effective.parameters == (Parameter("register", "false"), Parameter("proxy", "sip.example.com"))
    assert not effective.registers


def test_a_missing_secret_is_told_with_the_command_that_labels_it() -> None:
    effective, findings = resolve(gateway(REGISTERING), {})
    assert effective is None
    assert [(f.code, f.field) for f in findings] == [("SecretMissing", "spec.passwordFrom.secretKeyRef.name")]
    assert "kubectl -n voice label secret acme sipgateway.dev/credentials=true" in findings[0].action


def test_a_secret_without_the_label_is_not_used() -> None:
    effective, findings = resolve(gateway(REGISTERING), secrets(labelled=False))
    assert effective is None
    assert findings[0].code == "SecretNotLabelled"
    assert "kubectl -n voice label secret acme sipgateway.dev/credentials=true" in findings[0].action


def test_a_missing_key_is_told_with_the_keys_that_there_are() -> None:
    effective, findings = resolve(
        gateway(REGISTERING), {"acme": SecretView("acme", True, {"pass": b"x", "user": b"y"})}
    )
    assert effective is None
    assert findings[0].code == "SecretKeyMissing"
    assert "pass, user" in findings[0].message


def test_both_secrets_are_reported_and_not_only_the_first() -> None:
    spec = changed(REGISTERING, username=GONE, usernameFrom={"secretKeyRef": {"name": "other", "key": "u"}})
    _, findings = resolve(gateway(spec), {})
    assert [f.field for f in findings] == [
        "spec.usernameFrom.secretKeyRef.name",
        "spec.passwordFrom.secretKeyRef.name",
    ]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        (b"", "SecretEmpty"),
        (b"good\n", "SecretLineEnd"),
        (b"good\r\n", "SecretLineEnd"),
        (b"\n", "SecretLineEnd"),
        (b"go\nod", "SecretCharacter"),
        (b"go\x00od", "SecretCharacter"),
        (b"go:od", "SecretCharacter"),
        (b"\xff\xfe", "SecretNotText"),
        ("a\ufffe".encode(), "SecretCharacter"),
        (b"a" * 253, "DigestTooLong"),
    ],
)
def test_a_password_that_would_not_reach_the_carrier_is_refused(password: bytes, code: str) -> None:
    findings = findings_of(password)
    assert code in {f.code for f in findings if f.severity is Severity.ERROR}
    assert {f.field.split(".")[1] for f in findings} == {"passwordFrom"}


@pytest.mark.parametrize(
    ("username", "code"),
    [
        (b"", "SecretEmpty"),
        (b"acme\n", "SecretLineEnd"),
        (b"a b", "SipUserInvalid"),
        (b"a@b", "SipUserInvalid"),
        (b"a\x01b", "SecretCharacter"),
        (b"\xff", "SecretNotText"),
    ],
)
def test_a_username_of_a_secret_is_judged_like_one_of_the_manifest(username: bytes, code: str) -> None:
    findings = findings_of(username=username)
    assert [f.code for f in findings] == [code]
    assert {f.field.split(".")[1] for f in findings} == {"usernameFrom"}


def test_a_trailing_line_end_is_answered_with_how_to_avoid_it() -> None:
    (finding,) = findings_of(b"good\n")
    assert "printf %s" in finding.action
    assert "--from-literal" in finding.action


def test_blanks_at_an_end_are_warned_of() -> None:
    assert [(f.code, f.severity) for f in findings_of(b" good")] == [("SecretBlanks", Severity.WARNING)]


@pytest.mark.parametrize(
    ("length", "codes"),
    [(200 - 1, []), (200, []), (201, ["DigestTooLong"])],
)
def test_the_digests_bytes_are_counted_with_the_password(length: int, codes: list[str]) -> None:
    """acme is 4 bytes, the realm 40: 244 are taken, because quotes and colons count too (fact 34)."""
    assert [f.code for f in findings_of(b"p" * length, realm="r" * 40)] == codes


def test_the_digest_user_counts_instead_of_the_username() -> None:
    assert [f.code for f in findings_of(b"p" * 10, authUsername="a" * 243)] == ["DigestTooLong"]
    assert [f.code for f in findings_of(b"p" * 10, authUsername="ä" * 122)] == ["DigestTooLong"]


def test_a_gateway_without_password_has_no_digest() -> None:
    effective, _ = resolve(gateway(changed(CALLS, realm="r" * 253)), {})
    assert effective is not None
    assert not accept.check_effective(effective)


def test_secret_values_show_in_no_repr() -> None:
    view = secrets(CANARY.encode())
    effective, _ = resolve(gateway(REGISTERING), view)
    assert CANARY not in repr((view, effective))


@thorough
@given(st.one_of(strategies.dirty.map(str.encode), st.binary(max_size=20)), st.booleans())
@example(b"\n", True)
def test_no_finding_shows_a_value_of_a_secret(value: bytes, as_username: bool) -> None:
    secret = f"{CANARY}".encode() + value
    found = findings_of(username=secret) if as_username else findings_of(secret)
    assert CANARY not in "".join(str(f) for f in found)
    assert {f.code for f in found} <= {code.name for code in CODES}


@thorough
@given(strategies.any_text)
def test_a_password_arrives_as_the_secret_has_it_or_is_refused(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    effective, findings = accept.accept(gateway(REGISTERING), secrets(raw))
    assert (effective is None) == accept.is_refused(findings)
    if effective is not None:
        assert effective.get("password") == text


@thorough
@given(strategies.specs())
def test_an_accepted_spec_resolves_to_exactly_what_it_says(spec: dict[str, Any]) -> None:
    parsed, _ = parse_sipgateway(manifest(spec))
    if parsed is None:
        return
    effective, findings = accept.accept(parsed, secrets())
    assert (effective is None) == accept.is_refused(findings)
    if effective is not None:
        given_names = [p.xml for p in PARAMS if p.field in parsed.spec.params]
        plain = [p.name for p in effective.parameters if not p.secret]
        assert plain == given_names + [extra.name for extra in parsed.spec.extra_params]
        assert effective.variables == parsed.spec.variables
        assert effective.registers == (parsed.spec.params.get("register") is not False)


def test_password_may_stand_on_a_gateway_that_does_not_register() -> None:
    effective, findings = accept.accept(gateway(changed(CALLS, username="acme", passwordFrom=PASSWORD)), secrets())
    assert not findings
    assert effective is not None
    assert effective.get("password") == "correct horse"
