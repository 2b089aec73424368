"""What a snapshot asks for: accepted, suspended, refused, lost to another, for another switch; and never in doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipgateway.errors import Severity
from sipgateway.source.folder import Folder
from sipgateway.source.local import LocalResult, accepted
from tests.canary import Canary

REGISTERING = "  username: u\n  proxy: sip.example.com\n  contactHost: sip.example.org\n"
PASSWORD = "  passwordFrom: {secretKeyRef: {name: s, key: password}}\n"


def gateway(name: str, spec: str = "  register: false\n  proxy: sip.example.com\n", namespace: str = "default") -> str:
    return (
        f"apiVersion: sipgateway.dev/v1alpha1\nkind: SipGateway\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        f"spec:\n{spec}---\n"
    )


def secret(data: str, label: str = '{sipgateway.dev/credentials: "true"}', namespace: str = "default") -> str:
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: {namespace}\n  labels: {label}\n"
        f"stringData:\n{data}---\n"
    )


def judged(folder: Path, *texts: str, switch: str | None = None) -> LocalResult:
    (folder / "f.yaml").write_text("".join(texts))
    return accepted(Folder(folder / "f.yaml").snapshot(), switch=switch)


def codes(result: LocalResult) -> list[str]:
    return [finding.code for finding in result.findings]


def test_an_accepted_gateway_is_effective_with_its_secret_and_its_place(tmp_path: Path) -> None:
    result = judged(tmp_path, gateway("a", REGISTERING + PASSWORD), secret("  password: pw\n"))
    (one,) = result.gateways
    assert one.gateway.get("password") == "pw"
    assert (one.source.name, one.location.line) == ("a", 1)
    assert result.complete
    assert not result.findings
    assert not result.refused


@pytest.mark.parametrize(
    ("secrets", "code", "line"),
    [
        ("", "SecretMissing", 10),
        (secret("  password: pw\n", "{}"), "SecretNotLabelled", 10),
        (secret("  passwd: pw\n"), "SecretKeyMissing", 10),
        (secret('  password: ""\n'), "SecretEmpty", 10),
        (secret("  password: pw\n", namespace="other"), "SecretMissing", 10),
        (secret("  password: |\n    pw\n"), "SecretLineEnd", 10),
    ],
    ids=["none", "no-label", "no-key", "empty", "elsewhere", "line-end"],
)
def test_a_secret_that_cannot_be_used_refuses_the_gateway_at_its_line(
    tmp_path: Path, secrets: str, code: str, line: int
) -> None:
    result = judged(tmp_path, gateway("a", REGISTERING + PASSWORD), secrets)
    assert not result.gateways
    (finding,) = result.findings
    assert finding.code == code
    assert finding.location is not None
    assert finding.location.line == line
    assert result.refused == {"a": (finding,)}
    assert result.refused_objects == {("default", "a")}


def test_a_refused_gateway_holds_up_no_other_and_keeps_its_name_from_nobody(tmp_path: Path) -> None:
    bad = gateway("a-bad", "  gatewayName: shared\n  register: false\n  proxy: sip.example.com\n  retrySeconds: 3\n")
    good = gateway("b-good", "  gatewayName: shared\n  register: false\n  proxy: sip.example.com\n")
    result = judged(tmp_path, bad, good)
    assert [one.source.name for one in result.gateways] == ["b-good"]
    assert set(result.refused) == {"shared"}
    assert result.refused_objects == {("default", "a-bad")}


def test_a_name_that_two_want_goes_to_one_and_the_other_says_to_whom(tmp_path: Path) -> None:
    result = judged(
        tmp_path, gateway("b", "  gatewayName: x\n  register: false\n  proxy: h.example.com\n"), gateway("x")
    )
    assert [one.source.name for one in result.gateways] == ["b"]
    (finding,) = result.findings
    assert finding.code == "GatewayNameTaken"
    assert "default/b" in finding.message
    assert str(finding.location).endswith("f.yaml:14")


def test_a_second_manifest_of_a_name_takes_it_from_nobody_whatever_it_is_called(tmp_path: Path) -> None:
    spec = "  gatewayName: x\n  register: false\n  proxy: h.example.com\n"
    (tmp_path / "f.yaml").write_text(gateway("a", spec) + gateway("b", spec))
    snapshot = Folder(tmp_path).snapshot()
    result = accepted(snapshot, switch="default", holder={"x": ("default", "b")}.get)
    assert [one.source.name for one in result.gateways] == ["b"]
    (finding,) = result.findings
    assert "default/b, which has it" in finding.message
    assert [one.source.name for one in accepted(snapshot, switch="default").gateways] == ["a"]


def test_one_switch_has_one_name_space_and_a_cluster_one_for_each_namespace(tmp_path: Path) -> None:
    texts = gateway("x"), gateway("x", namespace="other")
    assert len(judged(tmp_path, *texts).gateways) == 2
    assert len(judged(tmp_path, *texts, switch="default").gateways) == 1


def test_gateways_of_other_switches_are_left_out_and_named(tmp_path: Path) -> None:
    other = gateway("b", "  switch: east\n  register: false\n  proxy: sip.example.com\n")
    result = judged(tmp_path, gateway("a"), other, switch="default")
    assert [one.source.name for one in result.gateways] == ["a"]
    assert result.elsewhere == {"east"}
    assert len(judged(tmp_path, gateway("a"), other).gateways) == 2


def test_a_suspended_gateway_is_not_loaded_needs_no_secret_and_gives_its_name_away(tmp_path: Path) -> None:
    suspended = gateway("a", f"  suspend: true\n{REGISTERING}{PASSWORD}")
    result = judged(tmp_path, suspended)
    assert result.suspended == {"a"}
    assert not result.gateways
    assert not result.findings
    other = gateway("b", "  gatewayName: a\n  register: false\n  proxy: sip.example.com\n")
    result = judged(tmp_path, suspended, other)
    assert [one.gateway.name for one in result.gateways] == ["a"]
    assert not result.suspended


def test_a_suspended_gateway_is_checked_all_the_same(tmp_path: Path) -> None:
    result = judged(tmp_path, gateway("a", "  suspend: true\n  register: false\n  proxy: sip:x\n"))
    assert codes(result) == ["ProxyScheme"]
    assert set(result.refused) == {"a"}


def test_what_cannot_be_parsed_is_refused_by_the_name_it_would_have_on_the_switch(tmp_path: Path) -> None:
    result = judged(tmp_path, gateway("a", "  gatewayName: Trunk_A\n  proxi: x\n"))
    assert set(result.refused) == {"Trunk_A"}
    assert result.refused_objects == {("default", "a")}
    assert result.complete


def test_a_source_with_something_unreadable_is_not_complete(tmp_path: Path) -> None:
    assert not judged(tmp_path, gateway("a"), "spec: {}\n").complete
    assert not accepted(Folder(tmp_path / "gone").snapshot()).complete


def test_warnings_do_not_refuse(tmp_path: Path) -> None:
    spec = "  username: u\n  proxy: sip.example.com\n" + PASSWORD
    result = judged(tmp_path, gateway("a", spec), secret("  password: pw\n"))
    assert len(result.gateways) == 1
    assert [finding.severity for finding in result.findings] == [Severity.WARNING]
    assert not result.refused


def test_an_unchanged_gateway_is_judged_once_until_its_secret_changes(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(gateway("a", REGISTERING + PASSWORD) + gateway("b"))
    (tmp_path / "s.yaml").write_text(secret("  password: one\n"))
    source = Folder(tmp_path)
    first, second = accepted(source.snapshot()), accepted(source.snapshot())
    assert [a.gateway is b.gateway for a, b in zip(first.gateways, second.gateways, strict=True)] == [True, True]
    (tmp_path / "s.yaml").write_text(secret("  password: two\n"))
    third = accepted(source.snapshot())
    assert [a.gateway is b.gateway for a, b in zip(second.gateways, third.gateways, strict=True)] == [False, True]
    assert third.gateways[0].gateway.get("password") == "two"
    (tmp_path / "s.yaml").unlink()
    assert codes(accepted(source.snapshot())) == ["SecretMissing"]


def test_no_secret_value_shows_in_a_result(tmp_path: Path, canary: Canary) -> None:
    quoted = canary.password.replace("'", "''")
    texts = (
        gateway("a", REGISTERING + PASSWORD),
        gateway("b", REGISTERING + "  passwordFrom: {secretKeyRef: {name: s, key: colon}}\n"),
        secret(f"  password: '{quoted}'\n  colon: 'x:{quoted}'\n"),
    )
    result = judged(tmp_path, *texts)
    assert len(result.gateways) == 1
    assert result.refused
    canary.assert_absent(repr(result), *map(str, result.findings))
