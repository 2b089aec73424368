"""The copy of a branch: rewritten history, a branch that goes, broken folders, signatures, ways in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from sipgateway.errors import InputError, SipgwError, StorageError
from sipgateway.git import notes
from sipgateway.git.credentials import environment
from sipgateway.git.mirror import Mirror
from tests.canary import Canary
from tests.git.served import Served, commit, git, new_repository
from tests.git.signing import signer
from tests.git.sshd import SshServed


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "source", {"a.yaml": "first\n"})


@pytest.fixture
def mirror(source: Path, tmp_path: Path) -> Mirror:
    return Mirror(str(source), "main", tmp_path / "mirror", environment(None))


def fetched(mirror: Mirror) -> str:
    with mirror.held():
        return mirror.fetch()


def head(source: Path) -> str:
    return git(source, "rev-parse", "HEAD")


def test_history_may_be_rewritten(source: Path, mirror: Mirror) -> None:
    first = fetched(mirror)
    git(source, "commit", "-q", "--amend", "-m", "another first")
    assert fetched(mirror) == head(source) != first


def test_history_may_have_nothing_to_do_with_what_it_was(source: Path, mirror: Mirror) -> None:
    fetched(mirror)
    git(source, "checkout", "-q", "--orphan", "fresh")
    made = commit(source, {"b.yaml": "fresh\n"})
    git(source, "branch", "-M", "main")
    assert fetched(mirror) == made


def test_a_branch_that_vanished_is_named_and_may_come_back(source: Path, mirror: Mirror) -> None:
    fetched(mirror)
    git(source, "branch", "-m", "main", "trunk")
    with pytest.raises(SipgwError) as refused:
        fetched(mirror)
    assert refused.value.finding.code == "NoSuchBranch"
    git(source, "branch", "-m", "trunk", "main")
    assert fetched(mirror) == head(source)


def test_a_repository_that_is_away_is_said_to_be_and_the_copy_stays(source: Path, mirror: Mirror) -> None:
    first = fetched(mirror)
    source.rename(source.with_name("away"))
    with pytest.raises(SipgwError) as refused:
        fetched(mirror)
    assert refused.value.finding.code == "GitFailed"
    assert mirror.repository.file(first, "a.yaml") == b"first\n"


@pytest.mark.parametrize(
    "lock", ["HEAD.lock", "config.lock", "shallow.lock", "refs/sipgateway/branch.lock", "packed-refs.lock"]
)
def test_a_lock_of_a_killed_process_is_in_nobodys_way(lock: str, source: Path, mirror: Mirror) -> None:
    fetched(mirror)
    (mirror.repository.folder / lock).touch()
    assert fetched(mirror) == head(source)
    made = commit(source, {"a.yaml": "second\n"})
    (mirror.repository.folder / lock).touch()
    assert fetched(mirror) == made


@pytest.mark.parametrize(
    "damage",
    [
        "an empty folder",
        "no HEAD",
        "an empty HEAD",
        "an empty ref",
        "no objects",
        "half a pack",
        "an empty config",
        "a file",
    ],
)
def test_a_damaged_copy_is_made_anew(damage: str, source: Path, mirror: Mirror) -> None:
    made = commit(source, {f"{n}.yaml": f"{n}\n" * 50 for n in range(20)})
    fetched(mirror)
    folder = mirror.repository.folder
    match damage:
        case "an empty folder":
            shutil.rmtree(folder)
            folder.mkdir()
        case "no HEAD":
            (folder / "HEAD").unlink()
        case "an empty HEAD":
            (folder / "HEAD").write_text("")
        case "an empty ref":
            (folder / "refs/sipgateway/branch").write_text("")
        case "no objects":
            shutil.rmtree(folder / "objects")
        case "half a pack":
            for one in (folder / "objects").rglob("*"):
                if one.is_file():
                    one.chmod(0o644)
                    one.write_bytes(one.read_bytes()[: one.stat().st_size // 2])
        case "an empty config":
            (folder / "config").write_text("")
        case "a file":
            shutil.rmtree(folder)
            folder.write_text("not a folder")
    assert fetched(mirror) == made
    assert len(mirror.repository.files(made, "")) == 21
    git(folder, "fsck", "--strict")


def test_a_full_disk_is_said_and_the_copy_is_what_it_was(source: Path, mirror: Mirror) -> None:
    first = fetched(mirror)
    made = commit(source, {"big.yaml": "".join(f"{n * 7919}\n" for n in range(50000))})
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from sipgateway.errors import SipgwError; from sipgateway.git.mirror import Mirror\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "mirror = Mirror(sys.argv[1], 'main', Path(sys.argv[2]), {})\n"
        "try:\n"
        "    with mirror.held(): mirror.fetch()\n"
        "except SipgwError as error: print(error.finding.code)\n"
    )
    command = [sys.executable, "-c", program, str(source), str(mirror.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "GitFailed\n", done.stderr
    assert mirror.repository.file(first, "a.yaml") == b"first\n"
    assert fetched(mirror) == made
    git(mirror.repository.folder, "fsck", "--strict")


def test_one_process_has_it_at_a_time(mirror: Mirror) -> None:
    with mirror.held(), pytest.raises(StorageError) as refused, mirror.held():
        pass
    assert "in use by another process" in str(refused.value)


@pytest.mark.parametrize("url", ["--upload-pack=touch x", "ext::sh -c touch% x"])
def test_no_address_is_an_option_or_a_program(url: str, tmp_path: Path) -> None:
    with pytest.raises(SipgwError) as refused:
        Mirror(url, "main", tmp_path, {})
    assert refused.value.finding.code == "BadRepository"


def test_no_branch_is_an_option(tmp_path: Path) -> None:
    with pytest.raises(SipgwError) as refused:
        Mirror("/srv/git", "--upload-pack=touch x", tmp_path, {})
    assert refused.value.finding.code == "BadRepository"


def test_a_submodule_is_not_fetched(source: Path, mirror: Mirror, tmp_path: Path) -> None:
    inner = new_repository(tmp_path / "inner", {"x.yaml": "inner\n"})
    git(source, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "inner")
    made = commit(source, {})
    secret = git(inner, "rev-parse", "HEAD")
    assert fetched(mirror) == made
    with pytest.raises(InputError):
        mirror.repository.commit_id(secret)


# Signatures


def test_only_a_signed_commit_comes_through_where_keys_are_given(source: Path, tmp_path: Path) -> None:
    key, public = signer(tmp_path, "release")
    other, _ = signer(tmp_path, "other")
    allowed = tmp_path / "allowed"
    allowed.write_text(f'operator@example.com namespaces="git" {public}')
    mirror = Mirror(str(source), "main", tmp_path / "mirror", environment(None), allowed)

    def sign(with_key: Path) -> str:
        git(
            source,
            "-c",
            "gpg.format=ssh",
            "-c",
            f"user.signingkey={with_key}",
            "commit",
            "-q",
            "--allow-empty",
            "-S",
            "-m",
            "x",
        )
        return head(source)

    for key_of_nobody in (None, other):
        if key_of_nobody:
            sign(key_of_nobody)
        with pytest.raises(SipgwError) as refused:
            fetched(mirror)
        assert refused.value.finding.code == "SignatureMissing"
    made = sign(key)
    assert fetched(mirror) == made
    commit(source, {"a.yaml": "unsigned\n"})
    with pytest.raises(SipgwError) as refused:
        fetched(mirror)
    assert refused.value.finding.code == "SignatureMissing"


# Ways in


def test_https_takes_its_password_from_files_and_shows_it_nowhere(tmp_path: Path, canary: Canary) -> None:
    source = new_repository(tmp_path / "source", {"a.yaml": "x\n"})
    with Served(tmp_path / "served", canary.password) as served:
        git(source, "push", "-q", str(served.bare), "main")
        found = environment(served.credentials)
        mirror = Mirror(served.url, "main", tmp_path / "mirror", found)
        assert fetched(mirror) == head(source)
        canary.assert_absent(repr(mirror), *found.values(), *mirror.repository.folder.rglob("config"))
        with pytest.raises(SipgwError, match="302"):  # perhaps to a host that is to have no password of ours
            fetched(Mirror(served.url.replace("trunks", "moved"), "main", tmp_path / "moved", found))
        (served.credentials / "password").write_text("another")
        with pytest.raises(SipgwError) as refused:
            fetched(Mirror(served.url, "main", tmp_path / "mirror", environment(served.credentials)))
        assert refused.value.finding.code == "GitFailed"
        assert "another" not in str(refused.value)
        (served.credentials / "ca.crt").unlink()
        with pytest.raises(SipgwError, match="certificate"):
            fetched(Mirror(served.url, "main", tmp_path / "mirror", environment(served.credentials)))


def test_ssh_checks_the_servers_key_and_reads_no_configuration_of_a_home_folder(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    (folder / "ssh-privatekey").write_text("key")
    with pytest.raises(InputError) as refused:
        environment(folder)
    assert refused.value.finding.code == "BadCredentials"
    assert "known_hosts" in str(refused.value)
    (folder / "known_hosts").write_text("")
    said = tmp_path / "said"
    fake = tmp_path / "bin/ssh"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done > {said}\nexit 1\n')
    fake.chmod(0o755)
    found = environment(folder) | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    with pytest.raises(SipgwError):
        fetched(Mirror("ssh://git@git.example.com/trunks.git", "main", tmp_path / "mirror", found))
    words = said.read_text().splitlines()
    assert words[:4] == ["-F", "/dev/null", "-i", str(folder / "ssh-privatekey")]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{folder}/known_hosts"'} <= set(words)


def test_a_repository_over_ssh_is_followed_with_a_key_and_the_servers_own(tmp_path: Path, canary: Canary) -> None:
    source = new_repository(tmp_path / "source", {"a.yaml": "x\n"})
    with SshServed(tmp_path / "it's here") as served:
        git(source, "push", "-q", str(served.bare), "main")
        found = environment(served.credentials)
        mirror = Mirror(served.url, "main", tmp_path / "mirror", found)
        first = fetched(mirror)
        assert first == head(source)
        changed = commit(source, {"a.yaml": "y\n"})
        git(source, "push", "-q", str(served.bare), "main")
        assert fetched(mirror) == changed

        # Notes go back the same way.
        notes.add(mirror.repository, "staging", changed, "good")
        notes.publish(mirror.repository, "staging", served.url)
        assert git(served.bare, "notes", "--ref=sipgateway/staging", "show", changed) == "good"
        assert {one.split(" ")[0] for one in served.asked} == {"git-upload-pack", "git-receive-pack"}

        def refused() -> str:
            with pytest.raises(SipgwError) as error:
                fetched(Mirror(served.url, "main", tmp_path / "mirror", environment(served.credentials)))
            assert error.value.finding.code == "GitFailed"
            return str(error.value)

        served.new_key(served.credentials)  # not one that the server lets in
        assert "Permission denied (publickey)" in refused()
        served.new_key(served.credentials, canary.password)  # nobody is there to type it
        assert "Permission denied" in refused()
        canary.assert_absent(refused(), repr(mirror), *found.values())
        asked = len(served.asked)
        served.know(asyncssh.generate_private_key("ssh-ed25519"))  # somebody in the middle
        assert refused().startswith("GitFailed: git fetch: WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! IT IS")
        assert "Host key verification failed" in refused()
        (served.credentials / "known_hosts").write_text("")
        assert "Host key verification failed" in refused()
        assert len(served.asked) == asked
        assert mirror.repository.commit_id(changed) == changed  # what was there stays


def test_a_folder_with_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        environment(tmp_path)
    assert refused.value.finding.code == "BadCredentials"
