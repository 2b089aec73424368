"""The tools that all tests rely on: golden files, the canary, the watch over leftovers, the hypothesis profiles."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pytest

from tests import profiles
from tests.canary import Canary

ROOT = Path(__file__).resolve().parents[2]


def pytest_in(folder: Path, source: str, *options: str, **environment: str) -> tuple[int, str]:
    """Runs `source` as a test module in a pytest of its own, with our conftest; returns exit code and output."""
    (folder / "test_inner.py").write_text(f"import subprocess, sys, threading, time\n{source}")
    inherited = {k: v for k, v in os.environ.items() if k not in {"CI", "SIPGW_REGOLD", "SIPGW_HYPOTHESIS"}}
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), "-p", "tests.conftest"]
    result = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options, "test_inner.py"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def golden_folder(folder: Path) -> Path:
    path = folder / "golden" / "inner"
    path.mkdir(parents=True)
    return path


def test_a_golden_file_that_differs_is_shown_as_a_diff(tmp_path: Path) -> None:
    (golden_folder(tmp_path) / "a.txt").write_text("one\ntwo\n")
    code, output = pytest_in(tmp_path, "def test_a(golden): golden('a.txt', 'one\\nthree\\n')")
    assert code == 1
    assert "-two" in output
    assert "+three" in output
    assert "--regold" in output


def test_golden_bytes_that_look_alike_are_told_apart(tmp_path: Path) -> None:
    (golden_folder(tmp_path) / "a.bin").write_bytes(b"\\xff")
    code, output = pytest_in(tmp_path, "def test_a(golden): golden('a.bin', b'\\xff')")
    assert code == 1
    assert "from byte 0 on" in output


def test_a_missing_golden_file_fails(tmp_path: Path) -> None:
    code, output = pytest_in(tmp_path, "def test_a(golden): golden('a.txt', 'x')")
    assert code == 1
    assert "no golden file" in output


def test_regold_writes_what_is_missing_and_deletes_what_is_stale(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path)
    (folder / "stale.txt").write_text("")
    (folder / "a.in.yaml").write_text("")
    code, output = pytest_in(tmp_path, "def test_a(golden): golden('deep/a.txt', 'ä\\r\\n')", "--regold")
    assert code == 0, output
    assert (folder / "deep" / "a.txt").read_bytes() == "ä\r\n".encode()
    assert not (folder / "stale.txt").exists()
    assert (folder / "a.in.yaml").exists()


def test_a_build_machine_never_rewrites_golden_files(tmp_path: Path) -> None:
    code, output = pytest_in(tmp_path, "def test_a(golden): golden('a.txt', '')", "--regold", CI="true")
    assert code != 0
    assert "never rewritten" in output
    assert not (tmp_path / "golden").exists()


def test_two_tests_cannot_share_a_golden_file_with_different_bytes(tmp_path: Path) -> None:
    source = "def test_a(golden): golden('a.txt', 'a')\ndef test_b(golden): golden('a.txt', 'b')"
    code, output = pytest_in(tmp_path, source, SIPGW_REGOLD="1")
    assert code == 1
    assert "different bytes" in output


def test_a_stale_golden_file_fails_the_run(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path)
    (folder / "a.txt").write_text("a")
    (folder / "old.txt").write_text("")
    code, output = pytest_in(tmp_path, "def test_a(golden): golden('a.txt', 'a')")
    assert code == 1
    assert "old.txt" in output


def test_golden_files_of_a_module_that_is_gone_are_stale(tmp_path: Path) -> None:
    gone = tmp_path / "golden" / "gone"
    gone.mkdir(parents=True)
    (gone / "a.txt").write_text("a")
    code, output = pytest_in(tmp_path, "def test_a(): pass")
    assert code == 1
    assert "gone/a.txt" in output


@pytest.mark.parametrize("options", [["-k", "test_a"], ["--deselect", "test_inner.py::test_b"]])
def test_a_run_of_some_tests_calls_no_golden_file_stale(tmp_path: Path, options: list[str]) -> None:
    folder = golden_folder(tmp_path)
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    source = "def test_a(golden): golden('a.txt', 'a')\ndef test_b(golden): golden('b.txt', 'b')"
    code, output = pytest_in(tmp_path, source, *options)
    assert code == 0, output


def orphan(seconds: int) -> str:
    """A program that ends at once and leaves a child of its own session behind."""
    return f"import subprocess; subprocess.Popen(['sleep', '{seconds}'], start_new_session=True, stdout=2)"


def test_an_orphan_of_a_test_is_found_named_and_ended(tmp_path: Path) -> None:
    source = f"def test_a(): subprocess.run([sys.executable, '-c', {orphan(61)!r}], check=True)"
    code, output = pytest_in(tmp_path, source, SIPGW_TEST_PATIENCE="0.1")
    assert code == 1
    assert "sleep 61" in output
    assert "test_inner.py::test_a" in output


def test_a_thread_that_goes_on_is_found(tmp_path: Path) -> None:
    source = "def test_a(): threading.Thread(target=time.sleep, args=[30], daemon=True, name='forgotten').start()"
    code, output = pytest_in(tmp_path, source, SIPGW_TEST_PATIENCE="0.1")
    assert code == 1
    assert "thread forgotten, first seen after test_inner.py::test_a" in output


def test_what_is_still_ending_gets_a_moment(tmp_path: Path) -> None:
    source = f"""
def test_a(): threading.Thread(target=time.sleep, args=[0.5]).start()
def test_b(): subprocess.run([sys.executable, '-c', {orphan(1)!r}], check=True)"""
    code, output = pytest_in(tmp_path, source)
    assert code == 0, output


@pytest.mark.parametrize("skip", range(7))
def test_the_canary_is_found_in_base64_at_any_place(canary: Canary, skip: int) -> None:
    data = base64.b64encode(b"x" * skip + canary.password.encode() + b"yz")
    assert canary.seen_in(data) == "base64"


def test_the_canary_is_found_in_every_quoting(canary: Canary) -> None:
    password = canary.password
    digest = hashlib.sha1(password.encode()).hexdigest()  # noqa: S324
    for leak in (password, quoteattr(password), quote(password), repr(password), json.dumps(password), digest):
        assert canary.seen_in(b"text " + leak.encode() + b" text")
    assert canary.seen_in(b"innocent text") is None


def test_the_canary_is_found_in_files_names_and_modes(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    canary.assert_absent(tmp_path, "text", b"bytes")
    leak = tmp_path / "sub" / "conf.xml"
    leak.touch(mode=0o640)
    leak.write_text(f"<param value={quoteattr(canary.password)}/>")
    with pytest.raises(AssertionError, match=r"sub/conf\.xml"):
        canary.assert_absent(tmp_path)
    canary.assert_private(tmp_path)
    leak.chmod(0o644)
    with pytest.raises(AssertionError, match="0644"):
        canary.assert_private(tmp_path)


def test_the_canary_says_nothing_about_what_is_not_there(canary: Canary, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not there"):
        canary.assert_absent(tmp_path / "log")


def test_the_canary_is_found_in_process_arguments(canary: Canary) -> None:
    canary.assert_in_no_process_arguments()
    command = [sys.executable, "-c", "print(flush=True); input()", canary.password]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(AssertionError, match=f"process {process.pid}"):
            canary.assert_in_no_process_arguments()


def test_an_unknown_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPGW_HYPOTHESIS", "milion")
    with pytest.raises(ValueError, match="default, ci, million"):
        profiles.selected()


@pytest.mark.parametrize(("ci", "profile"), [("true", "ci"), ("", "default")])
def test_a_build_machine_runs_more_examples(monkeypatch: pytest.MonkeyPatch, ci: str, profile: str) -> None:
    monkeypatch.delenv("SIPGW_HYPOTHESIS", raising=False)
    monkeypatch.setenv("CI", ci)
    assert profiles.selected() == profile
