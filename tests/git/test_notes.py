"""Notes that many write at once: no line is lost, none comes twice, and nothing of a remote is overwritten."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sipgateway.errors import SipgwError
from sipgateway.git import notes
from sipgateway.git.credentials import environment
from sipgateway.git.mirror import Mirror
from sipgateway.git.repository import Repository
from tests.git.served import git, new_repository


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "remote", {"a.yaml": "x\n"})


def copy(remote: Path, folder: Path) -> tuple[Repository, str]:
    mirror = Mirror(str(remote), "main", folder, environment(None))
    with mirror.held():
        return mirror.repository, mirror.fetch()


def lines(remote: Path, commit: str) -> list[str]:
    return git(remote, "notes", "--ref=refs/notes/sipgateway/staging", "show", commit).splitlines()


def test_a_note_is_there_for_people_with_git(remote: Path, tmp_path: Path) -> None:
    own, commit = copy(remote, tmp_path / "own")
    assert notes.read(own, "staging", commit) == ""
    assert notes.add(own, "staging", commit, '{"b":1}')
    assert notes.add(own, "staging", commit, '{"a":1}')
    assert not notes.add(own, "staging", commit, '{"a":1}')
    notes.publish(own, "staging", str(remote))
    assert lines(remote, commit) == ['{"a":1}', '{"b":1}']
    assert notes.noted(own, "staging") == {commit}


def test_writers_at_once_lose_nothing(remote: Path, tmp_path: Path) -> None:
    copies = [copy(remote, tmp_path / f"own-{n}") for n in range(4)]
    failed: list[BaseException] = []
    start = threading.Barrier(len(copies))

    def write(at: int) -> None:
        own, commit = copies[at]
        try:
            start.wait()
            for n in range(3):
                notes.add(own, "staging", commit, f"line {at}-{n}")
                notes.publish(own, "staging", str(remote))
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            failed.append(error)

    threads = [threading.Thread(target=write, args=[at]) for at in range(len(copies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert lines(remote, copies[0][1]) == sorted(f"line {at}-{n}" for at in range(len(copies)) for n in range(3))
    git(remote, "fsck", "--strict")


def test_what_somebody_else_wrote_comes_in_and_stays(remote: Path, tmp_path: Path) -> None:
    one, commit = copy(remote, tmp_path / "one")
    other, _ = copy(remote, tmp_path / "other")
    assert not notes.fetch(other, "staging", str(remote))
    notes.add(one, "staging", commit, "first")
    notes.publish(one, "staging", str(remote))
    notes.add(other, "staging", commit, "second")
    assert notes.fetch(other, "staging", str(remote))
    assert notes.read(other, "staging", commit).splitlines() == ["first", "second"]


def test_a_remote_may_be_begun_anew(remote: Path, tmp_path: Path) -> None:
    own, commit = copy(remote, tmp_path / "own")
    notes.add(own, "staging", commit, "first")
    notes.publish(own, "staging", str(remote))
    git(remote, "update-ref", "-d", "refs/notes/sipgateway/staging")
    notes.add(own, "staging", commit, "second")
    notes.publish(own, "staging", str(remote))
    assert lines(remote, commit) == ["first", "second"]


def test_a_remote_that_takes_nothing_is_named(remote: Path, tmp_path: Path) -> None:
    own, commit = copy(remote, tmp_path / "own")
    notes.add(own, "staging", commit, "first")
    hook = remote / ".git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not you >&2; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(SipgwError) as refused:
        notes.publish(own, "staging", str(remote))
    assert refused.value.finding.code == "PushRefused"
    assert "not you" in str(refused.value)


@pytest.mark.parametrize("name", ["", "../heads/main", "-x", "a b", "A", "a/b", "a\n"])
def test_an_environment_reaches_no_other_ref(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        notes.ref(name)


@pytest.mark.parametrize("line", ["", "a\nb"])
def test_a_note_has_lines(line: str, remote: Path, tmp_path: Path) -> None:
    own, commit = copy(remote, tmp_path / "own")
    with pytest.raises(ValueError, match="lines"):
        notes.add(own, "staging", commit, line)
