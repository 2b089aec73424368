"""`sipgw import`: existing gateways as manifests and Secrets, on standard output or as files."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sipgateway.cli import main
from sipgateway.errors import ExitCode
from sipgateway.source.folder import Folder
from sipgateway.source.local import accepted
from sipgateway.source.manifests import read_manifests
from tests.canary import Canary
from tests.golden import Golden

GATEWAY = (
    '<gateway name="{name}">\n<param name="username" value="u"/>\n<param name="password" value="{password}"/>\n'
    '<param name="proxy" value="sip.example.com"/>\n{inner}</gateway>\n'
)


def gateway(name: str = "acme", password: str = "pw", inner: str = "") -> str:  # noqa: S107
    return GATEWAY.format(name=name, password=password, inner=inner)


#: A configuration in the shape of FreeSWITCH's own samples: vars.xml, profiles with includes, a directory.
TREE = {
    "freeswitch.xml": """<?xml version="1.0"?>
<document type="freeswitch/xml">
  <X-PRE-PROCESS cmd="include" data="vars.xml"/>
  <section name="configuration" description="Various Configuration">
    <X-PRE-PROCESS cmd="include" data="autoload_configs/*.xml"/>
  </section>
  <section name="directory" description="User Directory">
    <X-PRE-PROCESS cmd="include" data="directory/*.xml"/>
  </section>
</document>
""",
    "vars.xml": """<include>
  <X-PRE-PROCESS cmd="set" data="domain=pbx.example.com"/>
  <X-PRE-PROCESS cmd="set" data="carrier_password=from&amp;vars"/>
  <X-PRE-PROCESS cmd="exec-set" data="evil=touch executed"/>
  <X-PRE-PROCESS cmd="stun-set" data="external_sip_ip=stun:stun.example.com"/>
</include>
""",
    "autoload_configs/sofia.conf.xml": """<configuration name="sofia.conf" description="sofia Endpoint">
  <profiles>
    <X-PRE-PROCESS cmd="include" data="../sip_profiles/*.xml"/>
  </profiles>
</configuration>
""",
    "autoload_configs/other.conf.xml": '<configuration name="other.conf"><gateway name="x"/></configuration>\n',
    "sip_profiles/external.xml": """<profile name="external">
  <!-- comments everywhere -->
  <gateways>
    <X-PRE-PROCESS cmd="include" data="external/*.xml"/>
  </gateways>
  <domains>
    <domain name="all" alias="false" parse="true"/>
  </domains>
  <settings><param name="tls" value="true"/></settings>
</profile>
""",
    "sip_profiles/external/carrier.xml": """<include>
  <gateway name="Carrier"> <!-- the main one -->
    <param name="username" value="4989100100"/><param name="password" value="$${carrier_password}"/>
    <param name="realm" value="example.com"/>
    <param name="proxy" value="sip.example.com"/>
    <param name="contact-host" value="$${external_sip_ip}"/>
    <param name="register-transport" value="tls"/>
    <param name="extension" value="auto_to_user"/>
    <variables>
      <variable name="carrier" value="$${domain}" direction="inbound"/>
    </variables>
  </gateway>
  <X-PRE-PROCESS cmd="include" data="more/*.conf"/>
  <X-PRE-PROCESS cmd="exec" data="touch executed"/>
</include>
""",
    "sip_profiles/external/more/nested.conf": '<gateway name="nested"><param name="register" value="false"/>'
    '<param name="proxy" value="192.0.2.7:5060"/></gateway>\n',
    "directory/default.xml": """<include>
  <domain name="$${domain}">
    <params><param name="dial-string" value="x"/></params>
    <groups>
      <group name="default">
        <users>
          <user id="1000">
            <gateways>
              <gateway name="user-trunk"><param name="username" value="1000"/><param name="password" value="1000"/>
                <param name="proxy" value="sip.example.net"/></gateway>
            </gateways>
            <params><param name="password" value="not a gateway's"/></params>
          </user>
        </users>
      </group>
    </groups>
  </domain>
</include>
""",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def conf(here: Path) -> Path:
    for name, text in TREE.items():
        path = here / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return here / "conf"


def test_a_whole_configuration_is_imported(
    conf: Path, here: Path, capfd: pytest.CaptureFixture[str], golden: Golden
) -> None:
    assert main(["import", "conf", "--namespace", "voice"]) == ExitCode.OK
    out, err = capfd.readouterr()
    golden("tree.out.yaml", out)
    golden("tree.err.txt", err)
    assert not (here / "executed").exists()
    assert not (conf / "executed").exists()
    assert "not a gateway" not in out
    (here / "m.yaml").write_text(out)
    result = accepted(Folder(here / "m.yaml").snapshot())
    assert [one.gateway.name for one in result.gateways] == ["Carrier", "nested", "user-trunk"]
    assert not result.refused


def test_a_variable_can_be_given(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(conf), "--var", "external_sip_ip=203.0.113.5"]) == ExitCode.OK
    out, err = capfd.readouterr()
    assert "contactHost: 203.0.113.5" in out
    assert "VariableUnset" not in err


def test_several_files_are_imported_together(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (here / f"{name}.xml").write_text(gateway(name))
    assert main(["import", "one.xml", "two.xml", "one.xml"]) == ExitCode.OK
    out, err = capfd.readouterr()
    assert [line for line in out.splitlines() if line.startswith("  name: ")][:2] == ["  name: one", "  name: two"]
    assert err.startswith("2 gateways imported")


def test_parts_of_a_configuration_are_imported_with_its_variables(
    conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(conf / "sip_profiles")]) == ExitCode.OK
    out, _ = capfd.readouterr()
    assert "from&vars" in out
    assert out.count("kind: SipGateway") == 2
    assert main(["import", str(conf / "sip_profiles" / "external" / "carrier.xml")]) == ExitCode.OK
    assert capfd.readouterr().out.count("kind: SipGateway") == 2


def test_files_are_written_with_secrets_of_their_own_that_only_their_owner_reads(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "g.xml").write_text(gateway("b") + gateway("a") + '<gateway name="dropped"/>\n')
    os.umask(0o022)
    for _ in range(2):  # the second time nothing differs
        assert main(["import", "g.xml", "--output-dir", "trunks"]) == ExitCode.OK
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("2 gateways imported, 1 left behind, 2 passwords in 2 Secrets\n")
    modes = {
        str(path.relative_to("trunks")): stat.S_IMODE(path.stat().st_mode)
        for path in Path("trunks").rglob("*")
        if path.is_file()
    }
    assert modes == {
        "a.yaml": 0o644,
        "b.yaml": 0o644,
        "left-behind.txt": 0o644,
        "secrets/a-credentials.yaml": 0o600,
        "secrets/b-credentials.yaml": 0o600,
    }
    result = accepted(Folder("trunks").snapshot())
    assert [one.gateway.get("password") for one in result.gateways] == ["pw", "pw"]


def test_files_that_differ_are_overwritten_only_by_force(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "g.xml").write_text(gateway())
    assert main(["import", "g.xml", "--output-dir", "trunks"]) == ExitCode.OK
    Path("trunks/acme.yaml").write_text("# mine\n")
    assert main(["import", "g.xml", "--output-dir", "trunks"]) == ExitCode.STORAGE
    assert "FileExists: trunks/acme.yaml exists and differs." in capfd.readouterr().err
    assert Path("trunks/acme.yaml").read_text() == "# mine\n"
    assert main(["import", "g.xml", "--output-dir", "trunks", "--force"]) == ExitCode.OK
    assert "kind: SipGateway" in Path("trunks/acme.yaml").read_text()


def test_a_secret_is_not_written_through_a_link(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "g.xml").write_text(gateway())
    (here / "trunks" / "secrets").mkdir(parents=True)
    (here / "target").write_text("untouched")
    (here / "trunks" / "secrets" / "acme-credentials.yaml").symlink_to(here / "target")
    assert main(["import", "g.xml", "--output-dir", "trunks", "--force"]) == ExitCode.STORAGE
    assert (here / "target").read_text() == "untouched"
    assert "NotWritten" in capfd.readouterr().err


def test_all_passwords_go_into_the_secret_that_is_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "g.xml").write_text(gateway("a", "pw-a") + gateway("B", "pw-b"))
    assert main(["import", "g.xml", "--secret-name", "trunks"]) == ExitCode.OK
    out, _ = capfd.readouterr()
    (secret,) = read_manifests(out.encode(), "m.yaml").secrets
    assert dict(secret.secret.data) == {"a": b"pw-a", "b": b"pw-b"}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (None, ExitCode.INPUT, "sipgw: g.xml: FileUnreadable: it does not exist."),
        ("<include>\n</include>\n", ExitCode.INPUT, "sipgw: g.xml: NothingFound: there is no gateway."),
        ('<gateway name="a">\n', ExitCode.INPUT, "g.xml:2: MalformedXml: unexpected closing tag </gateways>"),
        (gateway(inner='<param name="realm" value="a&quot;b"/>\n'), ExitCode.FAILED, "g.xml:5: RealmInvalid: "),
        ('<gateway name="a"/>', ExitCode.OK, "0 gateways imported, 1 left behind, 0 passwords in 0 Secrets"),
    ],
    ids=["gone", "empty", "malformed", "refused", "dropped"],
)
def test_the_exit_code_says_what_became_of_it(
    text: str | None, code: ExitCode, words: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (here / "g.xml").write_text(text)
    assert main(["import", "g.xml"]) == code
    assert words in capfd.readouterr().err


def test_standard_input_is_imported(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gateway().encode())))
    assert main(["import", "-", "--profile", "pstn"]) == ExitCode.OK
    out = capfd.readouterr().out
    assert "profile: pstn" in out
    assert "# From -:1." in out


def test_import_render_import_gives_the_same_manifests(
    conf: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(conf), "--output-dir", "first"]) == ExitCode.OK
    assert main(["render", "first", "--output-dir", "rendered"]) == ExitCode.OK
    assert main(["import", "rendered", "--output-dir", "second"]) == ExitCode.OK
    assert main(["render", "second", "--output-dir", "again"]) == ExitCode.OK
    capfd.readouterr()
    assert contents(here / "first") == contents(here / "second")
    assert contents(here / "rendered") == contents(here / "again")


def contents(folder: Path) -> dict[str, str]:
    """Files without their comments, which say where each gateway came from."""
    return {
        str(path.relative_to(folder)): "".join(
            line for line in path.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#")
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_passwords_are_in_secrets_and_nowhere_else(
    here: Path, capfd: pytest.CaptureFixture[str], canary: Canary
) -> None:
    escaped = canary.password.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    inner = (
        f'<param name="passwort" value="{escaped}"/>\n<param name="retry-seconds" value="3"/>\n'
        f'<variables>\n<variable name="sip_auth_password" value="{escaped}"/>\n</variables>\n'
    )
    (here / "g.xml").write_text(
        gateway("good", escaped)
        + gateway("odd", escaped, inner)
        + gateway("my gw", escaped)
        + gateway("good", escaped)
        + gateway("refused", f"a:{escaped}")
    )
    assert main(["import", "g.xml"]) == ExitCode.FAILED
    out, err = capfd.readouterr()
    manifests = "".join(part for part in out.split("---\n") if "kind: Secret" not in part)
    assert out.count("stringData") == 3
    canary.assert_absent(err, manifests)
    assert main(["import", "g.xml", "--output-dir", "trunks"]) == ExitCode.FAILED
    out, err = capfd.readouterr()
    canary.assert_absent(out, err, *(path for path in Path("trunks").iterdir() if path.is_file()))
    canary.assert_private(here / "trunks")
