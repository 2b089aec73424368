"""`sipgw lint`: findings with file and line as text, JSON or annotations; exit codes that a build can rely on."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sipgateway.cli import main
from sipgateway.errors import ExitCode
from tests.canary import Canary
from tests.golden import Golden

GOOD = (
    "apiVersion: sipgateway.dev/v1alpha1\nkind: SipGateway\nmetadata:\n  name: good\nspec:\n  register: false\n"
    "  proxy: sip.example.com:5060\n"
)
BAD = GOOD.replace("good", "bad") + "  retrySeconds: 3\n  username: 0123\n"
WARNED = GOOD.replace("good", "warned") + "  expireSeconds: 600\n"
REGISTERING = (
    "apiVersion: sipgateway.dev/v1alpha1\nkind: SipGateway\nmetadata:\n  name: registering\nspec:\n  username: u\n"
    "  proxy: sip.example.com:5060\n  contactHost: sip.example.org\n"
    "  passwordFrom: {secretKeyRef: {name: s, key: password}}\n"
)
SECRET = (
    'apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  labels: {sipgateway.dev/credentials: "true"}\n'
    "stringData:\n  password: pw\n"
)
XML = (
    '<include>\n<gateway name="acme">\n<param name="username" value="u"/>\n<param name="password" value="pw"/>\n'
    '<param name="proxy" value="sip.example.com"/>\n{}\n</gateway>\n</include>\n'
)
BAD_XML = XML.format('<param name="retry-seconds" value="3"/>\n<param name="cid-type" value="rpid"/>')


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mixed(here: Path) -> Path:
    """A folder with manifests and XML, good and bad."""
    (here / "trunks").mkdir()
    for name, text in {"good": GOOD, "bad": BAD, "warned": WARNED, "broken": "a: [\n"}.items():
        (here / "trunks" / f"{name}.yaml").write_text(text)
    (here / "trunks" / "other.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    (here / "trunks" / "old.xml").write_text(BAD_XML)
    return here


@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_findings_are_printed_in_the_form_that_is_asked_for(
    output: str, mixed: Path, capfd: pytest.CaptureFixture[str], golden: Golden
) -> None:
    assert main(["lint", "trunks", "--output", output]) == ExitCode.FAILED
    out, err = capfd.readouterr()
    golden(f"mixed.{output}.txt", out)
    assert err == "4 gateways in 6 files: 3 errors, 2 warnings, 1 other object passed over\n"
    if output == "json":
        assert json.loads(out)["summary"] == {"gateways": 4, "errors": 3, "warnings": 2}


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (GOOD, [], ExitCode.OK),
        (WARNED, [], ExitCode.OK),
        (WARNED, ["--warnings-as-errors"], ExitCode.FAILED),
        (BAD, [], ExitCode.FAILED),
        ("", [], ExitCode.INPUT),
        ("a: [", [], ExitCode.FAILED),
    ],
    ids=["good", "warned", "warned-as-error", "bad", "empty", "broken"],
)
def test_the_exit_code_says_what_was_found(
    text: str, arguments: list[str], code: ExitCode, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "m.yaml").write_text(text)
    assert main(["lint", "m.yaml", *arguments]) == code
    assert capfd.readouterr().err


def test_several_paths_are_checked_together(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "trunks").mkdir()
    (here / "secrets").mkdir()
    (here / "trunks" / "m.yaml").write_text(REGISTERING)
    (here / "secrets" / "s.yaml").write_text(SECRET)
    (here / "old.xml").write_text(BAD_XML)
    assert main(["lint", "trunks", "secrets", "--require-secrets"]) == ExitCode.OK
    assert main(["lint", "trunks", "trunks/m.yaml", "secrets", "--require-secrets"]) == ExitCode.OK
    capfd.readouterr()
    assert main(["lint", "trunks", "secrets", "old.xml"]) == ExitCode.FAILED
    out, err = capfd.readouterr()
    assert "CoercedValue" in out
    assert err.startswith("2 gateways in 3 files: ")
    assert main(["lint", "trunks", "gone"]) == ExitCode.INPUT


def test_a_code_that_does_not_concern_somebody_can_be_left_out_unless_it_refuses(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "m.yaml").write_text(REGISTERING.replace("  contactHost: sip.example.org\n", ""))
    strict = ["lint", "m.yaml", "--warnings-as-errors"]
    assert main(strict) == ExitCode.FAILED
    assert "ContactMayBePodAddress" in capfd.readouterr().out
    assert main([*strict, "--ignore", "ContactMayBePodAddress"]) == ExitCode.OK
    (here / "m.yaml").write_text(BAD)
    assert main(["lint", "m.yaml", "--ignore", "WrongType"]) == ExitCode.FAILED


@pytest.mark.parametrize("path", ["gone", "empty"])
def test_nothing_to_check_is_an_error_and_not_a_success(
    path: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    (here / "empty" / "notes.txt").write_text("nothing")
    assert main(["lint", path]) == ExitCode.INPUT
    assert capfd.readouterr().err.startswith(f"sipgw: {path}: ")


@pytest.mark.parametrize(
    ("secret", "arguments", "code", "words"),
    [
        ("", [], ExitCode.OK, ""),
        ("", ["--require-secrets"], ExitCode.FAILED, "SecretMissing"),
        (SECRET, ["--require-secrets"], ExitCode.OK, ""),
        (SECRET.replace("name: s", "name: t"), [], ExitCode.OK, "SecretMissing"),
        (SECRET.replace("name: s", "name: t"), ["--warnings-as-errors"], ExitCode.FAILED, "SecretMissing"),
        (SECRET.replace('"true"', '"no"'), [], ExitCode.FAILED, "SecretNotLabelled"),
        (SECRET.replace("password:", "passwd:"), [], ExitCode.FAILED, "SecretKeyMissing"),
    ],
    ids=["none", "none-required", "there", "another", "another-strict", "no-label", "no-key"],
)
def test_secrets_are_checked_as_far_as_they_are_there(
    secret: str, arguments: list[str], code: ExitCode, words: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "m.yaml").write_text(REGISTERING + ("---\n" + secret if secret else ""))
    assert main(["lint", "m.yaml", *arguments]) == code
    out = capfd.readouterr().out
    assert words in out if words else out == ""
    assert "kubectl" not in out


@pytest.mark.parametrize(
    ("text", "first"),
    [(BAD, "-:9: WrongType: "), (BAD_XML, "-:6: CoercedValue: "), ("\n " + BAD_XML, "-:7: CoercedValue: ")],
    ids=["yaml", "xml", "xml-after-blanks"],
)
def test_standard_input_may_be_manifests_or_xml(
    text: str, first: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert main(["lint", "-"]) == ExitCode.FAILED
    assert capfd.readouterr().out.startswith(first)


def test_a_file_of_any_name_is_told_by_its_first_character(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "gateway.noload").write_text(BAD_XML)
    (here / "manifest").write_text(BAD)
    assert main(["lint", "gateway.noload"]) == ExitCode.FAILED
    assert "CoercedValue" in capfd.readouterr().out
    assert main(["lint", "manifest"]) == ExitCode.FAILED
    assert "spec.username" in capfd.readouterr().out


def test_variables_come_from_arguments_and_from_a_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "g.xml").write_text(XML.format('<param name="realm" value="$${a}$${b}"/>'))
    (here / "vars").write_text("# global variables\nb=.com\n\n")
    assert main(["lint", "g.xml", "--warnings-as-errors"]) == ExitCode.FAILED
    assert main(["lint", "g.xml", "--warnings-as-errors", "--var", "a=example", "--var-file", "vars"]) == ExitCode.OK
    assert capfd.readouterr().out.count("VariableUnset") == 2


def test_a_wrong_variable_is_a_wrong_argument_and_is_not_shown(
    here: Path, capfd: pytest.CaptureFixture[str], canary: Canary
) -> None:
    (here / "g.xml").write_text(BAD_XML)
    (here / "vars").write_text(canary.password.replace("=", ""))
    assert main(["lint", "g.xml", "--var", canary.password.replace("=", "")]) == ExitCode.USAGE
    assert main(["lint", "g.xml", "--var-file", "vars"]) == ExitCode.USAGE
    assert main(["lint", "g.xml", "--var-file", "gone"]) == ExitCode.INPUT
    out, err = capfd.readouterr()
    assert err.count("NAME=VALUE") == 2
    canary.assert_absent(out, err)


def test_annotations_are_escaped_as_github_wants_them(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "a,b:c%.yaml").write_text(GOOD + '  realm: "x%\\"y"\n')
    assert main(["lint", "a,b:c%.yaml", "--output", "github"]) == ExitCode.FAILED
    out = capfd.readouterr().out
    assert out.startswith("::error file=a%2Cb%3Ac%25.yaml,line=8,title=RealmInvalid::spec.realm: ")
    assert out.count("\n") == 1
    assert "x%25" in out


def test_names_of_files_that_are_no_text_break_nothing(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = os.fsencode(here) + b"/\xff\n.yaml"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"a: [")
    for output in ("text", "json", "github"):
        assert main(["lint", ".", "--output", output]) == ExitCode.FAILED
        out = capfd.readouterr().out
        assert "BadYaml" in out
        assert output == "json" or out.count("\n") == 1


@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_no_output_shows_a_password(output: str, here: Path, capfd: pytest.CaptureFixture[str], canary: Canary) -> None:
    quoted = canary.password.replace("'", "''")
    escaped = canary.password.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
    files = {
        "m.yaml": REGISTERING,
        "s.yaml": SECRET.replace("password: pw", f"password: 'x:{quoted}'"),
        "t.yaml": SECRET.replace("stringData:", "data:").replace("password: pw", f"password: '{quoted}'"),
        "u.yaml": SECRET.replace("password: pw", f"password: ['{quoted}']"),
        "v.yaml": SECRET.replace("password: pw", f"password: '{quoted}"),
        "w.yaml": SECRET.replace("password: pw", "password: *" + "".join(filter(str.isalnum, canary.password))),
        "x.yaml": REGISTERING + f"  password: '{quoted}'\n",
        "a.xml": XML.format("").replace("pw", f"x:{escaped}"),
        "b.xml": XML.format(f'<param name="passwort" value="{escaped}"/>'),
        "c.xml": XML.format(f'<param name="password" value="{escaped}"'),
        "d.xml": XML.format(f'<X-PRE-PROCESS cmd="set" data="pw={escaped}"/><param name="password" value="$${{pw}}"/>'),
        "e.xml": XML.format(f'<variable name="sip_auth_password" value="{escaped}" direction="both"/>'),
    }
    for name, text in files.items():
        (here / name).write_text(text)
    assert main(["lint", ".", "--output", output]) == ExitCode.FAILED
    out, err = capfd.readouterr()
    silent = {"s.yaml"}  # what is wrong with its value is said at the SipGateway that uses it
    assert {name for name in files if name not in out} == silent
    canary.assert_absent(out, err)
    assert "".join(filter(str.isalnum, canary.password)) not in out
