"""`sipgw run` and `sipgw diff` as processes: exit codes, what they say, and how few commands a storm of saves takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.run.lab import SIPGW, Lab, lab, manifest, until


@contextmanager
def running(place: Lab, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`sipgw run` with its lines in run.log, until the end of the block."""
    with (place.root / "run.log").open("ab") as log:
        process = subprocess.Popen(
            [*SIPGW, *place.arguments("run", "--output", "json", *more)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def told(place: Lab, event: str) -> list[dict[str, Any]]:
    lines = (place.root / "run.log").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


def count(place: Lab, word: str, since: int = 0) -> int:
    return sum(f" {word}" in entry["text"] for entry in place.control("commands", since=since))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("run")) as place:
        yield place


def test_a_thousand_manifests_saved_at_once_take_at_most_five_rescans(tmp_path: Path) -> None:
    with lab(tmp_path) as place:
        place.save("first", manifest("first", "1"))
        with running(place):
            until(lambda: len(told(place, "proved")) == 1)
            since = len(place.control("commands"))
            for number in range(1000):
                place.save(f"g{number:03}", manifest(f"g{number:03}", "1"))
            until(lambda: len(told(place, "proved")) == 1001, 60)
            assert 1 <= count(place, "rescan", since) <= 5
            assert count(place, "killgw") == 0
            assert told(place, "failed") == []
            since = len(place.control("commands"))
            for number in range(1000):
                place.save(f"g{number:03}", manifest(f"g{number:03}", "2"))
            until(lambda: len(told(place, "proved")) == 2001, 60)
            assert 1 <= count(place, "rescan", since) <= 5
            assert count(place, "killgw", since) == 1000


def test_a_save_is_loaded_and_a_bad_one_leaves_the_last_good_version(tmp_path: Path) -> None:
    with lab(tmp_path) as place:
        place.save("a", manifest("a", "1"))
        place.save("b", manifest("b", "1"))
        with running(place) as process:
            until(lambda: len(told(place, "proved")) == 2)
            place.save("a", manifest("a", "2"))
            until(lambda: place.api("sofia_gateway_data a var version") == "2")
            place.save("a", manifest("a", "3").replace("spec:", "spec:\n  retrySeconds: 3"))
            until(lambda: bool(told(place, "refused")))
            place.save("b", "kind: [")
            until(lambda: len(told(place, "refused")) >= 2)
            time.sleep(0.3)
            assert place.api("sofia_gateway_data a var version") == "2"
            assert place.api("sofia_gateway_data b var version") == "1"
            place.save("a", manifest("a", "4"))
            until(lambda: place.api("sofia_gateway_data a var version") == "4")
            assert place.api("sofia_gateway_data b var version") == "1"
            place.save("b", manifest("b", "2"))
            until(lambda: place.api("sofia_gateway_data b var version") == "2")
            (place.source / "b.yaml").unlink()
            until(lambda: place.api("sofia status gateway b").startswith("Invalid Gateway"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        assert place.api("sofia_gateway_data a var version") == "4"


def test_a_refusal_names_file_line_and_field_in_keys_of_their_own(tmp_path: Path) -> None:
    with lab(tmp_path) as place:
        place.save("a", manifest("a", "1").replace("spec:", "spec:\n  retrySeconds: 3"))
        assert place.sipgw("run", "--once", "--timeout", "1", "--output", "json").returncode == 1
        with running(place):
            until(lambda: bool(told(place, "refused")))
        (refused,) = told(place, "refused")
        assert (refused["file"], refused["line"]) == (str(place.source / "a.yaml"), 5)
        assert (refused["reason"], refused["field"]) == ("NumberCoerced", "spec.retrySeconds")


def test_a_name_that_is_taken_on_the_switch_gets_no_file_of_ours(tmp_path: Path) -> None:
    with lab(tmp_path) as place:
        theirs = place.conf / "sip_profiles/external/theirs.xml"
        text = '<include>\n<gateway name="t">\n<param name="register" value="false"/>\n</gateway>\n</include>\n'
        theirs.write_text(text)
        place.api("sofia profile external rescan")
        for name in ("t", "u"):
            place.save(name, manifest(name, "1"))
        files = place.conf / "sip_profiles/external"
        with running(place):
            until(lambda: bool(told(place, "problem")) and bool(told(place, "proved")))
            assert [path.name for path in files.glob("sipgw-*")] == ["sipgw-u.xml"]
        for path in files.glob("sipgw-*"):
            path.unlink()
        place.control("drop", refuse=True)  # the switch does not answer: whatever is wanted is written for its start
        with running(place):
            until(lambda: len(list(files.glob("sipgw-*"))) == 2)
            place.control("drop", refuse=False)
            until(lambda: len(told(place, "problem")) == 2)
            until(lambda: [path.name for path in files.glob("sipgw-*")] == ["sipgw-u.xml"])
        theirs.unlink()


def test_a_suspended_gateway_goes_and_comes_back(shared: Lab) -> None:
    shared.save("s", manifest("s", "1"))
    assert shared.sipgw("run", "--once").returncode == 0
    shared.save("s", manifest("s", "1").replace("spec:", "spec:\n  suspend: true"))
    assert shared.sipgw("run", "--once", "--output", "json").returncode == 0
    assert shared.api("sofia status gateway s").startswith("Invalid Gateway")
    assert list(shared.conf.rglob("sipgw-s.xml")) == []
    shared.save("s", manifest("s", "1"))
    assert shared.sipgw("run", "--once").returncode == 0
    assert shared.api("sofia_gateway_data s var version") == "1"
    (shared.source / "s.yaml").unlink()


def test_a_version_that_the_switch_drops_leaves_the_one_before_it_and_is_an_error_of_once(shared: Lab) -> None:
    shared.save("t", manifest("t", "1"))
    assert shared.sipgw("run", "--once").returncode == 0
    shared.save("t", manifest("t", "2").replace("spec:", "spec:\n  registerTransport: tls"))  # `external` has no TLS
    started, since = time.monotonic(), 0
    for _ in range(2):  # a second process does not try it again
        since = len(shared.control("commands"))
        refused = shared.sipgw("run", "--once", "--output", "json")
        assert refused.returncode == 1
        assert b"NewVersionRefused" in refused.stdout
        assert shared.api("sofia_gateway_data t var version") == "1"
    assert count(shared, "killgw", since) == 0
    assert time.monotonic() - started < 25  # it is final: nothing is waited for
    shared.save("t", manifest("t", "3"))
    assert shared.sipgw("run", "--once").returncode == 0
    assert shared.api("sofia_gateway_data t var version") == "3"
    (shared.source / "t.yaml").unlink()


def test_a_source_that_is_gone_or_empty_takes_no_trunk_down(shared: Lab) -> None:
    shared.save("e", manifest("e", "1"))
    assert shared.sipgw("run", "--once").returncode == 0
    hidden = shared.source.rename(shared.root / "hidden")
    gone = shared.sipgw("run", "--once", "--timeout", "2")
    assert gone.returncode == 3
    assert b"Traceback" not in gone.stderr
    shared.source.mkdir()
    empty = shared.sipgw("run", "--once", "--timeout", "2", "--output", "json")
    assert b"EmptySource" in empty.stdout
    assert shared.api("sofia_gateway_data e var version") == "1"
    shared.source.rmdir()
    hidden.rename(shared.source)
    assert shared.sipgw("run", "--once").returncode == 0
    (shared.source / "e.yaml").unlink()


def test_diff_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    with lab(tmp_path) as place:
        for name in ("a", "b"):
            place.save(name, manifest(name, "1"))
        since = len(place.control("commands"))
        fresh = place.sipgw("diff", "--exit-code")
        assert fresh.returncode == 1, fresh.stderr
        assert b"add a:" in fresh.stdout
        assert not (place.conf / ".sipgw").exists()
        assert place.sipgw("run", "--once").returncode == 0
        same = place.sipgw("diff", "--exit-code")
        assert (same.returncode, same.stdout) == (0, b"nothing would change; 2 stay as they are and are not touched.\n")
        place.save("a", manifest("a", "2", proxy="192.0.2.77"))
        (place.source / "b.yaml").unlink()
        before = {p: p.read_bytes() for p in place.conf.rglob("*") if p.is_file()}
        kills = count(place, "killgw", since)
        said = json.loads(place.sipgw("diff", "--output", "json").stdout)
        assert [(c["gateway"], c["kind"]) for c in said["changes"]] == [("a", "replace"), ("b", "remove")]
        assert "proxy 127.0.0.1:15070 -> 192.0.2.77" in said["changes"][0]["changes"]
        assert {p: p.read_bytes() for p in place.conf.rglob("*") if p.is_file()} == before
        assert count(place, "killgw", since) == kills


@pytest.mark.parametrize("output", ["json", "text", "table"])
def test_once_says_how_it_ended(shared: Lab, output: str) -> None:
    shared.save("o", manifest("o", "1"))
    good = shared.sipgw("run", "--once", "--output", output)
    assert good.returncode == 0
    assert b"o" in good.stdout
    shared.save("o", manifest("o", "2", proxy="bad proxy"))
    refused = shared.sipgw("run", "--once", "--output", output, "--timeout", "5")
    assert refused.returncode == 1
    (shared.source / "o.yaml").unlink()


def test_a_switch_that_is_not_there_has_its_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "source" / "a.yaml").write_text(manifest("a", "1"))
    place = Lab(tmp_path, "127.0.0.1:1", "", subprocess.Popen(["true"]))
    place.process.wait()
    for command in (("run", "--once", "--timeout", "1"), ("diff",)):
        result = place.sipgw(*command)
        assert result.returncode == 4, result.stderr
        assert b"127.0.0.1:1" in result.stderr
        assert b"Traceback" not in result.stderr
    assert (tmp_path / "conf/sip_profiles/external/sipgw-a.xml").exists()


def test_a_second_run_on_the_same_folder_is_refused(shared: Lab) -> None:
    shared.save("l", manifest("l", "1"))
    with running(shared):
        until(lambda: any(e.get("gateway") == "l" for e in told(shared, "proved")))
        second = shared.sipgw("run", "--once")
        assert second.returncode == 5
        assert b"ConfFolderLocked" in second.stderr
    (shared.source / "l.yaml").unlink()


def test_a_file_limit_is_no_reason_to_stop(shared: Lab) -> None:
    """A disk without room: nothing of the switch is touched, the exit code says storage."""
    shared.save("d", manifest("d", "1"))
    assert shared.sipgw("run", "--once").returncode == 0
    shared.save("d", manifest("d", "2"))
    since = len(shared.control("commands"))
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@" 2>/dev/null | cat', "sh", *SIPGW]
    result = subprocess.run(
        [*limited, *shared.arguments("run", "--once", "--output", "json", "--timeout", "2")],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert b"FileAccess" in result.stdout
    assert count(shared, "killgw", since) == 0
    assert shared.api("sofia_gateway_data d var version") == "1"
    assert shared.sipgw("run", "--once").returncode == 0
    assert shared.api("sofia_gateway_data d var version") == "2"
    (shared.source / "d.yaml").unlink()
