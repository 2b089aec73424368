"""`sipgw render`: XML on standard output or as files, and what it says when it cannot."""

from __future__ import annotations

import io
import re
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sipgateway.cli import main
from sipgateway.errors import ExitCode
from sipgateway.render.revision import RevisionKey
from sipgateway.source.found import find_gateways
from sipgateway.source.xmlfiles import read_xml
from tests.canary import Canary
from tests.golden import Golden

HEAD = "apiVersion: sipgateway.dev/v1alpha1\nkind: SipGateway\nmetadata:\n  name: {name}\nspec:\n"
CALLS = "  register: false\n  proxy: sip.example.com:5060\n"
REGISTERING = (
    "  username: u\n  proxy: sip.example.com:5060\n  contactHost: sip.example.org\n"
    "  passwordFrom: {secretKeyRef: {name: s, key: password}}\n"
)
SECRET = (
    'apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  labels: {sipgateway.dev/credentials: "true"}\n'
    "stringData:\n  password: pw\n"
)
KEY = "00" * 32


def gateway(name: str, spec: str = CALLS) -> str:
    return HEAD.format(name=name) + spec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_gateway_is_printed_with_its_place_and_its_password(
    here: Path, capfd: pytest.CaptureFixture[str], golden: Golden
) -> None:
    (here / "m.yaml").write_text(gateway("acme", REGISTERING) + "---\n" + SECRET)
    assert main(["render", "m.yaml"]) == ExitCode.OK
    out, err = capfd.readouterr()
    golden("one.out.xml", out)
    assert err == "1 gateway rendered\n"


def test_several_gateways_are_printed_one_after_the_other(
    here: Path, capfd: pytest.CaptureFixture[str], golden: Golden
) -> None:
    (here / "a.yaml").write_text(gateway("a--b"))
    (here / "b.yaml").write_text(gateway("b", "  directory: {domain: d.example.com, user: u}\n" + CALLS))
    (here / "c.yaml").write_text(gateway("c", "  suspend: true\n" + CALLS))
    assert main(["render", "."]) == ExitCode.OK
    out, err = capfd.readouterr()
    golden("several.out.xml", out)
    assert err == "2 gateways rendered, 1 suspended\n"
    (here / "all.xml").write_text(out)
    found, problems = find_gateways(read_xml("all.xml", {}))
    assert [one.read.name for one in found] == ["a--b", "b"]
    assert not problems, "several documents one after the other are still good XML for the switch"


def test_a_missing_secret_is_refused_and_the_others_are_printed(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "m.yaml").write_text(gateway("acme", REGISTERING) + "---\n" + gateway("other"))
    assert main(["render", "m.yaml"]) == ExitCode.INPUT
    out, err = capfd.readouterr()
    assert 'gateway name="other"' in out
    assert "acme" not in out
    assert err.startswith("m.yaml:9: SecretMissing: spec.passwordFrom.secretKeyRef.name: there is no Secret s")
    assert err.endswith("1 gateway rendered, 1 error\n")


def test_without_secrets_no_secret_is_needed_and_none_is_shown(
    here: Path, capfd: pytest.CaptureFixture[str], canary: Canary
) -> None:
    quoted = canary.password.replace("'", "''")
    (here / "s.yaml").write_text(SECRET.replace("password: pw", f"password: '{quoted}'"))
    for text in (gateway("acme", REGISTERING), gateway("acme", REGISTERING.replace("name: s", "name: missing"))):
        (here / "m.yaml").write_text(text)
        assert main(["render", ".", "--without-secrets"]) == ExitCode.OK
        out, err = capfd.readouterr()
        assert '<param name="password" value="" sealed=""/>' in out
        assert "preview" in out
        canary.assert_absent(out, err)


def test_a_key_file_makes_the_revision_that_the_switch_has(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "m.yaml").write_text(gateway("acme"))
    (here / "key").write_text(f"{KEY}\n")
    assert main(["render", "m.yaml", "--key-file", "key"]) == ExitCode.OK
    with_key = capfd.readouterr().out
    assert f"1-{RevisionKey(bytes(32)).key_id}-" in with_key
    assert "preview" not in with_key
    assert main(["render", "m.yaml"]) == ExitCode.OK
    assert "its revision is a preview" in capfd.readouterr().out


@pytest.mark.parametrize("content", [None, "not hex", "00", "é"])
def test_a_file_without_a_key_is_refused(content: str | None, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "m.yaml").write_text(gateway("acme"))
    if content is not None:
        (here / "key").write_text(content)
    assert main(["render", "m.yaml", "--key-file", "key"]) == ExitCode.INPUT
    out, err = capfd.readouterr()
    assert out == ""
    assert re.match(r"sipgw: KeyFile: key: (it does not hold a key|No such file)", err)


def test_files_of_the_layout_are_written_whole_and_not_for_all_to_read(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "m.yaml").write_text(
        gateway("acme", REGISTERING)
        + "---\n"
        + gateway("user", "  directory: {domain: d.example.com, user: u}\n" + CALLS)
        + "---\n"
        + SECRET
    )
    for _ in range(2):
        assert main(["render", "m.yaml", "--output-dir", "conf"]) == ExitCode.OK
    assert capfd.readouterr().out == ""
    files = sorted(str(path.relative_to("conf")) for path in Path("conf").rglob("*") if path.is_file())
    assert files == ["directory_gateways/d.example.com/u/sipgw-user.xml", "sip_profiles/external/sipgw-acme.xml"]
    for name in files:
        assert stat.S_IMODE((Path("conf") / name).stat().st_mode) == 0o640
    assert main(["render", "m.yaml", "--output-dir", "other", "--profile-path", "x/{profile}/y"]) == ExitCode.OK
    assert Path("other/x/external/y/sipgw-acme.xml").is_file()


def test_files_that_cannot_be_written_are_an_error_of_storage(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "m.yaml").write_text(gateway("acme"))
    (here / "conf").write_text("a file, not a folder")
    assert main(["render", "m.yaml", "--output-dir", "conf"]) == ExitCode.STORAGE
    assert "NotWritten" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("argument", "text", "words"),
    [
        ("gone", None, "gone: FileUnreadable: it does not exist."),
        (".", None, ".: NothingFound: there is no SipGateway."),
        ("m.yaml", "a: [", "m.yaml:2: BadYaml:"),
        (
            "m.yaml",
            gateway("x", "  retrySeconds: 3\n" + CALLS),
            "m.yaml:6: NumberCoerced: spec.retrySeconds: 3 is below 5.",
        ),
        ("m.yaml", gateway("x") + "---\n" + gateway("x"), "m.yaml:4: DuplicateObject: metadata.name: "),
    ],
    ids=["gone", "empty", "yaml", "refused", "twice"],
)
def test_what_cannot_be_rendered_is_said_with_exit_code_3(
    argument: str, text: str | None, words: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (here / "m.yaml").write_text(text)
    assert main(["render", argument]) == ExitCode.INPUT
    out, err = capfd.readouterr()
    assert out == ""
    assert words in err


def test_standard_input_is_rendered(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gateway("acme").encode())))
    assert main(["render", "-"]) == ExitCode.OK
    assert 'gateway name="acme"' in capfd.readouterr().out


def test_gateways_of_one_switch_can_be_asked_for(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "m.yaml").write_text(gateway("a") + "---\n" + gateway("b", "  switch: east\n" + CALLS))
    assert main(["render", "m.yaml", "--switch", "east"]) == ExitCode.OK
    out = capfd.readouterr().out
    assert re.findall(r'gateway name="(\w)"', out) == ["b"]


def test_no_error_shows_a_password(here: Path, capfd: pytest.CaptureFixture[str], canary: Canary) -> None:
    quoted = canary.password.replace("'", "''")
    bad = f"x:{quoted}"  # a colon cannot stand in a digest password
    (here / "s.yaml").write_text(SECRET.replace("password: pw", f"password: '{bad}'"))
    (here / "t.yaml").write_text(
        SECRET.replace("name: s", "name: t").replace("password: pw", f"password: [ '{quoted}'")
    )
    (here / "m.yaml").write_text(gateway("acme", REGISTERING))
    assert main(["render", "."]) == ExitCode.INPUT
    out, err = capfd.readouterr()
    assert err
    canary.assert_absent(out, err)
