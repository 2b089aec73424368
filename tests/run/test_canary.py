"""The canary password: in no output, log, error, world-readable file or process argument, whatever goes wrong."""

from __future__ import annotations

import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import Canary
from tests.run.lab import REGISTRAR, SIPGW, Lab, lab, manifest, until

OUTPUTS = ["auto", "json", "text", "table"]


@pytest.fixture(scope="module")
def secret() -> Canary:
    return Canary()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, secret: Canary) -> Iterator[Lab]:
    """A switch with a registrar that knows the canary, and one that refuses whatever comes."""
    with lab(tmp_path_factory.mktemp("canary"), "--registrar", "192.0.2.66=403", "--speed", "4") as one:
        one.control("registrar", address=REGISTRAR, set={"passwords": {"good": secret.password}})
        yield one


def clear(place: Lab) -> None:
    for path in place.source.glob("*.yaml"):
        path.unlink()


def assert_silent(secret: Canary, place: Lab, *results: subprocess.CompletedProcess[bytes]) -> None:
    for result in results:
        secret.assert_absent(result.stdout, result.stderr)
        assert b"Traceback" not in result.stderr
    secret.assert_private(place.conf)
    secret.assert_in_no_process_arguments()


@pytest.mark.parametrize("output", OUTPUTS)
def test_when_all_is_well(place: Lab, secret: Canary, output: str) -> None:
    clear(place)
    place.save("good", manifest("good", output, registers=True, password=secret.password))
    (place.source / "good.yaml").chmod(0o600)
    text = "json" if output == "json" else "text"
    before = place.sipgw("diff", "--output", text)
    once = place.sipgw("run", "--once", "--output", output)
    assert once.returncode == 0, once.stderr
    after = place.sipgw("diff", "--output", text)
    assert_silent(secret, place, before, once, after)
    held = [p for p in place.conf.rglob("sipgw-good.xml") if secret.seen_in(p.read_bytes())]
    assert [stat.S_IMODE(p.stat().st_mode) for p in held] == [0o640]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("registrar", ["192.0.2.66", REGISTRAR])
def test_when_the_registrar_refuses(place: Lab, secret: Canary, output: str, registrar: str) -> None:
    clear(place)
    text = manifest("bad", output, registers=True, password=secret.password, proxy=registrar)
    place.save("bad", text)
    once = place.sipgw("run", "--once", "--output", output)
    assert once.returncode == 1
    assert b"403" in once.stdout
    assert_silent(secret, place, once, place.sipgw("diff"))


WRONG = {
    "a secret without the label": ('sipgateway.dev/credentials": "true"', 'other": "true"'),
    "a secret that is not there": ("secretKeyRef: {name: m,", "secretKeyRef: {name: nosuch,"),
    "a key that is not there": ("key: password", "key: nosuch"),
    "a user that SIP cannot carry": ('username: "m"', 'username: "m m"'),
    "an unknown field": ("spec:", "spec:\n  nosuchfield: 1"),
    "a literal password": ("spec:", "spec:\n  password: PASSWORD"),
    "a literal password in extraParams": ("spec:", "spec:\n  extraParams: [{name: password, value: PASSWORD}]"),
    "YAML that ends too early": ("stringData: {", "stringData: {{"),
    "a secret that is a list": ("stringData: {password: PASSWORD}", "stringData: [PASSWORD]"),
    "a secret that is a text": ("stringData: {password: PASSWORD}", "stringData: PASSWORD"),
    "base64 that is none": ("stringData:", "data:"),
    "a password with a line break": ('+"}', '+\\n"}'),
    "a password with a control character": ('+"}', '+\\u0001"}'),
    "a password too long for the digest": ('+"}', "+" + "x" * 300 + '"}'),
    "a secret twice": (
        "---",
        "---\nkind: Secret\napiVersion: v1\nmetadata: {name: m}\nstringData: {password: PASSWORD}\n---",
    ),
    "a key twice": ("stringData: {", "stringData: {password: PASSWORD, "),
}


def test_when_manifests_are_wrong(place: Lab, secret: Canary) -> None:
    clear(place)
    for number, words in enumerate(WRONG.values()):
        text = manifest("m", "1", registers=True, password=secret.password)
        old, new = (word.replace("PASSWORD", f'"{secret.password}"') for word in words)
        assert old in text
        wrong = text.replace(old, new, 1)
        place.save(f"w{number}", wrong.replace("name: m", f"name: w{number}"))
    results = [place.sipgw("run", "--once", "--output", output, "--timeout", "1") for output in OUTPUTS]
    assert {r.returncode for r in results} == {1}
    said = results[1].stdout.decode()
    assert [what for n, what in enumerate(WRONG) if f"/w{n}.yaml:" not in said] == []
    assert_silent(secret, place, *results, place.sipgw("diff"), place.sipgw("diff", "--output", "json"))


def test_when_the_switch_or_the_disk_fails(place: Lab, secret: Canary, tmp_path: Path) -> None:
    clear(place)
    place.save("good", manifest("good", "9", registers=True, password=secret.password))
    nobody = ["--source", str(place.source), "--conf", str(tmp_path / "conf"), "--esl", "127.0.0.1:1"]
    (tmp_path / "conf").mkdir()
    gone = subprocess.run(
        [*SIPGW, "run", *nobody, "--once", "--timeout", "1"], capture_output=True, check=False, timeout=60
    )
    assert gone.returncode == 4
    secret.assert_private(tmp_path / "conf")
    (tmp_path / "file").write_text("")
    nowhere = [*nobody[:2], "--conf", str(tmp_path / "file"), *nobody[4:]]
    blocked = subprocess.run([*SIPGW, "run", *nowhere, "--once"], capture_output=True, check=False, timeout=60)
    assert blocked.returncode == 5
    broken = place.conf / "sip_profiles/external/a.xml"
    broken.write_text("<include>\n<gateway name='x'>\n</include>\n")
    unread = place.sipgw("run", "--once", "--output", "json", "--timeout", "2")
    broken.unlink()
    assert b"SwitchConfigBroken" in unread.stdout
    assert_silent(secret, place, gone, blocked, unread)


def test_the_event_sockets_own_password(tmp_path: Path, secret: Canary) -> None:
    """In a file, never in arguments; refused or not, it is not told."""
    file = tmp_path / "esl"
    file.write_text(secret.password + "\n")
    with lab(tmp_path / "lab", "--password-file", str(file)) as one:
        one.save("a", manifest("a", "1"))
        right = one.sipgw("run", "--once", "--output", "json", "--esl-password-file", str(file))
        assert right.returncode == 0, right.stdout
        wrong = one.sipgw("run", "--once", "--output", "json", "--timeout", "1")
        assert wrong.returncode == 4
        (tmp_path / "two").write_text(f"{secret.password}\nmore\n")
        twice = one.sipgw("run", "--once", "--esl-password-file", str(tmp_path / "two"))
        assert twice.returncode == 3
        assert_silent(secret, one, right, wrong, twice)


def test_while_it_runs_and_is_killed(place: Lab, secret: Canary) -> None:
    clear(place)
    place.save("good", manifest("good", "k", registers=True, password=secret.password))
    log = place.root / "killed.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["sh", "-c", 'umask 0; exec "$@"', "sh", *SIPGW, *place.arguments("run")], stdout=out, stderr=out
        )
        until(lambda: b'"Registered"' in log.read_bytes())
        for version in range(20):
            place.save("good", manifest("good", str(version), registers=True, password=secret.password))
            time.sleep(0.01)
        secret.assert_in_no_process_arguments()
        process.kill()
        process.wait()
    secret.assert_absent(log)
    secret.assert_private(place.conf)
