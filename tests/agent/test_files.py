"""Files under the switch's includes: whole or not at all, for the switch's group only, and nobody else's."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sipgateway.agent.files import STATE_FOLDER, ConfFolder, changes
from sipgateway.errors import StorageError

NAME = "sip_profiles/external/sipgw-a.xml"
OTHER = "sip_profiles/external/sipgw-b.xml"


@pytest.fixture
def folder(tmp_path: Path) -> ConfFolder:
    return ConfFolder(tmp_path / "conf")


def entries(folder: ConfFolder) -> list[str]:
    return sorted(p.relative_to(folder.root).as_posix() for p in folder.root.rglob("*") if not p.is_dir())


def code_of(act: Callable[[], object]) -> str:
    """The code of the error that this raises."""
    with pytest.raises(StorageError) as refused:
        act()
    return refused.value.finding.code


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_with_its_folders_and_read_back(folder: ConfFolder) -> None:
    folder.write_all({NAME: b"one", "directory_gateways/example.com/u/sipgw-c.xml": b"three"})
    assert folder.read_all() == {NAME: b"one", "directory_gateways/example.com/u/sipgw-c.xml": b"three"}
    assert len(entries(folder)) == 2


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_for_the_group_whatever_the_umask_is(folder: ConfFolder, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder.write_all({NAME: b"one"})
    finally:
        os.umask(before)
    assert mode(folder.root / NAME) == 0o640
    assert mode((folder.root / NAME).parent) == 0o750


def test_a_file_has_the_group_of_its_folder(folder: ConfFolder) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another group at will")
    folder.write_all({NAME: b"one"})
    parent = (folder.root / NAME).parent
    os.chown(parent, -1, 12345)
    folder.write_all({OTHER: b"two"})
    assert (folder.root / OTHER).stat().st_gid == 12345


def test_what_was_there_is_replaced_and_not_written_into(folder: ConfFolder) -> None:
    folder.write_all({NAME: b"one"})
    before = (folder.root / NAME).stat().st_ino
    with (folder.root / NAME).open("rb") as reader:
        folder.write_all({NAME: b"two and more"})
        assert reader.read() == b"one"
    assert (folder.root / NAME).stat().st_ino != before


def test_while_it_is_written_a_file_has_a_name_that_no_include_matches(
    folder: ConfFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        seen.extend(p.name for p in folder.root.rglob("*") if p.is_file())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    folder.write_all({NAME: b"one"})
    assert seen
    assert {name.startswith(".") for name in seen[:1]} == {True}
    assert entries(folder) == [NAME]


def test_what_a_killed_process_left_is_swept(folder: ConfFolder) -> None:
    folder.write_all({NAME: b"one"})
    folder.revision_key(remake=True)
    (folder.root / "sip_profiles/external/.sipgw-0123").write_bytes(b"half")
    (folder.root / STATE_FOLDER / ".sipgw-4567").write_bytes(b"half a key")
    (folder.root / "sip_profiles/external/.other").write_bytes(b"not ours")
    assert folder.sweep() == 2
    assert entries(folder) == [f"{STATE_FOLDER}/revision.key", "sip_profiles/external/.other", NAME]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_files_whole(
    folder: ConfFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder.write_all({NAME: b"one", OTHER: b"two"})

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError) as refused:
            folder.write_all({NAME: b"new", OTHER: b"new"})
    assert refused.value.finding.code == "DiskFull"
    assert folder.read_all() == {NAME: b"one", OTHER: b"two"}
    assert entries(folder) == [NAME, OTHER]
    folder.write_all({NAME: b"new", OTHER: b"new"})
    assert folder.read_all() == {NAME: b"new", OTHER: b"new"}


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k,mode=750", "tmpfs", place], check=False, capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_on_a_disk_that_is_really_full_the_old_file_stays_whole(tiny_disk: Path) -> None:
    folder = ConfFolder(tiny_disk)
    folder.write_all({NAME: b"one"})
    with pytest.raises(StorageError) as refused:
        folder.write_all({OTHER: b"x" * 1000, NAME: b"x" * 200_000})
    assert refused.value.finding.code == "DiskFull"
    assert folder.read_all() == {NAME: b"one"}
    assert entries(folder) == [NAME]


def test_a_file_that_breaks_off_in_the_middle_leaves_the_old_one_whole(folder: ConfFolder) -> None:
    folder.write_all({NAME: b"one"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError) as refused:
            folder.write_all({NAME: b"x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.finding.code == "FileAccess"
    assert folder.read_all() == {NAME: b"one"}
    assert entries(folder) == [NAME]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path / "typo")
    assert code_of(lambda: folder.locked().__enter__()) == "NoConfFolder"
    assert not folder.root.exists()


def test_a_folder_is_held_against_a_second_process(folder: ConfFolder) -> None:
    folder.root.mkdir()
    script = (
        "import sys, pathlib; from sipgateway.agent.files import ConfFolder\n"
        "with ConfFolder(pathlib.Path(sys.argv[1])).locked():\n    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(folder.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert code_of(lambda: folder.locked().__enter__()) == "ConfFolderLocked"
        other.kill()
        other.wait()
    with folder.locked():
        pass
    with folder.locked():
        pass


def test_the_key_is_made_once_and_for_the_owner_only(folder: ConfFolder) -> None:
    assert [folder.has_key, len(folder.revision_key()), folder.has_key] == [False, 32, True]
    key = folder.revision_key()
    assert folder.revision_key() == key
    assert mode(folder.root / STATE_FOLDER / "revision.key") == 0o600
    assert entries(folder) == [f"{STATE_FOLDER}/revision.key"]


@pytest.mark.parametrize("damaged", [b"", b"abcd\n", b"zz" * 32, "ü".encode() * 40])
def test_a_damaged_key_is_reported_and_never_remade(folder: ConfFolder, damaged: bytes) -> None:
    folder.revision_key()
    path = folder.root / STATE_FOLDER / "revision.key"
    path.write_bytes(damaged)
    with pytest.raises(StorageError) as refused:
        folder.revision_key()
    assert refused.value.finding.code == "RevisionKeyDamaged"
    assert path.read_bytes() == damaged


def test_a_link_in_the_place_of_our_file_is_replaced_and_what_it_points_to_left_alone(
    folder: ConfFolder, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_bytes(b"one")
    folder.write_all({OTHER: b"two"})
    (folder.root / NAME).symlink_to(outside)
    assert folder.read_all()[NAME] == b""
    folder.write_all({NAME: b"new"})
    assert not (folder.root / NAME).is_symlink()
    (folder.root / OTHER).unlink()
    (folder.root / OTHER).symlink_to(outside)
    folder.remove(OTHER)
    assert outside.read_bytes() == b"one"
    assert folder.read_all() == {NAME: b"new"}


def test_a_pipe_in_the_place_of_our_file_holds_nobody_up(folder: ConfFolder) -> None:
    folder.write_all({OTHER: b"two"})
    os.mkfifo(folder.root / NAME)
    assert folder.read_all() == {NAME: b"", OTHER: b"two"}
    folder.write_all({NAME: b"new"})
    assert folder.read_all() == {NAME: b"new", OTHER: b"two"}


@pytest.mark.parametrize("link", ["sip_profiles", "sip_profiles/external"])
def test_files_are_neither_written_read_nor_removed_through_a_link_to_a_folder(
    folder: ConfFolder, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "external").mkdir(parents=True)
    (folder.root / link).parent.mkdir(parents=True)
    (folder.root / link).symlink_to(outside)
    there = outside / ("external/sipgw-a.xml" if link == "sip_profiles" else "sipgw-a.xml")
    there.write_bytes(b"theirs")
    assert folder.read_all() == {}
    assert code_of(lambda: folder.write_all({NAME: b"new"})) == "FolderIsLink"
    assert code_of(lambda: folder.remove(NAME)) == "FolderIsLink"
    assert there.read_bytes() == b"theirs"
    (there.parent / ".sipgw-0123").write_bytes(b"not swept")
    assert folder.sweep() == 0


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "conf").symlink_to(tmp_path / "real")
    folder = ConfFolder(tmp_path / "conf")
    folder.write_all({NAME: b"one"})
    assert folder.read_all() == {NAME: b"one"}


def test_files_of_others_are_not_looked_into(folder: ConfFolder) -> None:
    folder.write_all({NAME: b"one"})
    for name in ("acme.xml", "sipgw-a.xml.bak", "sipgw-.noxml", "SIPGW-a.xml"):
        (folder.root / "sip_profiles/external" / name).write_bytes(b"theirs")
    assert folder.read_all() == {NAME: b"one"}


def test_a_file_that_is_not_there_is_removed_without_a_word(folder: ConfFolder) -> None:
    folder.write_all({NAME: b"one"})
    folder.remove(NAME)
    folder.remove(NAME)
    assert folder.read_all() == {}


def test_a_folder_that_nobody_may_write_is_named(folder: ConfFolder) -> None:
    folder.root.mkdir()
    (folder.root / "sip_profiles").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError) as refused:
        folder.write_all({NAME: b"one"})
    assert refused.value.finding.code == "FileAccess"
    assert "sip_profiles" in refused.value.finding.message


def test_a_folder_of_others_that_may_not_be_read_is_passed_over() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = ConfFolder(Path(place))
        folder.write_all({NAME: b"one"})
        (folder.root / "tls").mkdir()
        (folder.root / "tls").chmod(0)
        for path in (folder.root, *folder.root.rglob("*")):
            if path.name != "tls":
                os.chown(path, 65534 if os.geteuid() == 0 else -1, -1)
        user = os.geteuid()
        try:
            os.seteuid(user or 65534)
            assert folder.read_all() == {NAME: b"one"}
            assert folder.sweep() == 0
        finally:
            os.seteuid(user)
            (folder.root / "tls").chmod(0o700)


def test_only_what_differs_is_written_and_only_what_is_too_many_is_removed() -> None:
    assert changes({"a": b"1", "b": b"2"}, {"a": b"1", "b": b"x", "c": b"3"}) == (["b"], ["c"])
    assert changes({"a": b"1"}, {"a": b"1"}) == ([], [])
