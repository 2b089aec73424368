"""Repositories of somebody who means us harm: what is no plain manifest is refused, and nothing of theirs runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sipgateway.errors import InputError, SipgwError
from sipgateway.git import repository as room
from sipgateway.git.credentials import environment
from sipgateway.git.mirror import Mirror
from sipgateway.git.repository import Repository
from tests.git.served import commit, git, new_repository

GOOD = {"environments/staging/acme.yaml": "kind: SipGateway\n"}


def mirrored(source: Path, folder: Path) -> tuple[Repository, str]:
    """A fetched copy, as a sync has it."""
    mirror = Mirror(str(source), "main", folder / "mirror", environment(None))
    with mirror.held():
        return mirror.repository, mirror.fetch()


def with_entry(source: Path, mode: str, path: str, content: bytes = b"x", kind: str = "blob") -> str:
    """A commit with an entry that a work tree could not give us, on top of main. git's checks are passed by."""
    base = git(source, "rev-parse", "HEAD")
    what = base if kind == "commit" else git(source, "hash-object", "-w", "--stdin", data=content)
    *folders, name = path.split("/")
    tree = git(source, "mktree", "--missing", data=f"{mode} {kind} {what}\t{name}\n".encode())
    for folder in reversed(folders):
        tree = git(source, "mktree", data=f"040000 tree {tree}\t{folder}\n".encode())
    made = git(source, "commit-tree", tree, "-p", base, "-m", "hostile")
    git(source, "update-ref", "refs/heads/main", made)
    return made


def test_files_come_as_they_were_committed(tmp_path: Path) -> None:
    source = new_repository(
        tmp_path / "source", {**GOOD, "environments/staging/a/b c.yml": "\u00fc\r\n", "README.md": "-"}
    )
    repository, made = mirrored(source, tmp_path)
    assert repository.files(made, "environments/staging") == {
        "environments/staging/a/b c.yml": "\u00fc\r\n".encode(),
        "environments/staging/acme.yaml": b"kind: SipGateway\n",
    }
    assert repository.file(made, "README.md") == b"-"
    assert repository.file(made, "LICENSE") is None
    assert repository.tree_id(made, "environments/production") == ""
    assert list((tmp_path / "mirror").rglob("*.yaml")) == []


HOSTILE: dict[str, tuple[Callable[[Path], str], str, str]] = {
    "a link out of the tree": (
        lambda source: with_entry(source, "120000", "environments/staging/acme.yaml", b"/etc/passwd"),
        "NotAPlainFile",
        "symbolic link",
    ),
    "a link to another manifest": (
        lambda source: with_entry(source, "120000", "environments/staging/b.yaml", b"../production/acme.yaml"),
        "NotAPlainFile",
        "symbolic link",
    ),
    "a submodule": (
        lambda source: with_entry(source, "160000", "environments/staging/more", kind="commit"),
        "NotAPlainFile",
        "submodule",
    ),
    "a pointer of LFS": (
        lambda source: commit(
            source, {"environments/staging/b.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"}
        ),
        "NotAPlainFile",
        "Git LFS",
    ),
    "a huge file": (
        lambda source: commit(source, {"environments/staging/b.yaml": "#" * (room.MAX_FILE + 1)}),
        "BlobTooBig",
        f"{room.MAX_FILE} are taken",
    ),
    "attributes": (
        lambda source: commit(source, {"environments/staging/.gitattributes": "* filter=evil\n"}),
        "ForeignPath",
        "not taken",
    ),
    "modules": (
        lambda source: commit(source, {"environments/staging/.gitmodules": '[submodule "x"]\n'}),
        "ForeignPath",
        "not taken",
    ),
    "a control character": (
        lambda source: commit(source, {"environments/staging/a\x1b[2J.yaml": "x\n"}),
        "ForeignPath",
        "not taken",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_plain_manifest_is_refused_with_its_path(what: str, tmp_path: Path) -> None:
    make, code, words = HOSTILE[what]
    source = new_repository(tmp_path / "source", GOOD)
    made = make(source)
    repository, _ = mirrored(source, tmp_path)
    with pytest.raises(InputError) as refused:
        repository.files(made, "environments/staging")
    finding = refused.value.finding
    assert (finding.code, words in finding.message) == (code, True), str(finding)
    assert str(finding.location).startswith("environments/staging/")
    assert "\x1b" not in str(finding)


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", "..", "."])
def test_a_tree_with_a_name_of_gits_own_does_not_even_come_in(name: str, tmp_path: Path) -> None:
    source = new_repository(tmp_path / "source", GOOD)
    with_entry(source, "100644", f"environments/{name}/config.yaml")
    with pytest.raises(SipgwError) as refused:
        mirrored(source, tmp_path)
    assert refused.value.finding.code == "GitFailed"


def test_a_good_commit_can_be_taken_after_a_bad_one(tmp_path: Path) -> None:
    source = new_repository(tmp_path / "source", GOOD)
    good = git(source, "rev-parse", "HEAD")
    with_entry(source, "100644", "environments/.git/config.yaml")
    with pytest.raises(SipgwError):
        mirrored(source, tmp_path)
    git(source, "update-ref", "refs/heads/main", good)
    assert mirrored(source, tmp_path)[1] == good


def test_all_files_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ALL", 100)
    source = new_repository(tmp_path / "source", {f"environments/staging/{n}.yaml": "#" * 40 for n in range(3)})
    repository, made = mirrored(source, tmp_path)
    with pytest.raises(InputError) as refused:
        repository.files(made, "environments/staging")
    assert refused.value.finding.code == "BlobTooBig"


def test_no_hook_runs_and_no_setting_of_the_repository_is_obeyed(tmp_path: Path) -> None:
    """The repository of a person who promotes: what stands in its .git is theirs, but runs nothing of ours."""
    source = new_repository(tmp_path / "source", GOOD)
    ran = tmp_path / "ran"
    script = f"#!/bin/sh\ntouch {ran}\n"
    for hook in ("pre-commit", "commit-msg", "post-commit", "pre-push", "reference-transaction", "post-index-change"):
        path = source / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    for name, value in {
        "core.fsmonitor": f"touch {ran}",
        "core.editor": f"touch {ran}",
        "core.pager": f"touch {ran}",
        "gpg.program": f"touch {ran}",
        "filter.evil.clean": f"touch {ran}",
        "filter.evil.smudge": f"touch {ran}",
        "commit.gpgsign": "true",
        "alias.ls-tree": f"!touch {ran}",
    }.items():
        git(source, "config", name, value)
    (source / ".git/info").mkdir(exist_ok=True)
    (source / ".git/info/attributes").write_text("* filter=evil\n")
    repository = Repository(source, environment(None))
    before = repository.commit_id("main")
    made = repository.write_commit(before, {"environments/staging/acme.yaml": b"kind: Other\n"}, "change")
    repository.move_branch("main", made, before, "test")
    assert repository.file("main", "environments/staging/acme.yaml") == b"kind: Other\n"
    assert [one.subject for one in repository.history("main")] == ["change", "change"]
    assert not ran.exists()


def test_a_branch_that_moved_meanwhile_is_not_moved_back(tmp_path: Path) -> None:
    source = new_repository(tmp_path / "source", GOOD)
    repository = Repository(source, environment(None))
    before = repository.commit_id("main")
    mine = repository.write_commit(before, {"a": b"mine"}, "mine")
    theirs = repository.write_commit(before, {"a": b"theirs"}, "theirs")
    repository.move_branch("main", theirs, before, "test")
    with pytest.raises(SipgwError) as refused:
        repository.move_branch("main", mine, before, "test")
    assert refused.value.finding.code == "RefMoved"
    assert repository.commit_id("main") == theirs


def test_variables_of_git_around_us_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = new_repository(tmp_path / "source", GOOD)
    other = new_repository(tmp_path / "other", {"x": "y"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.worktree")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", os.devnull)
    assert Repository.find(source).folder == source
    assert Repository(source, environment(None)).file("HEAD", "x") is None


def test_outside_of_a_repository_it_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        Repository.find(tmp_path)
    assert refused.value.finding.code == "NoRepository"


def test_a_commit_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = new_repository(tmp_path / "source", GOOD)
    with pytest.raises(InputError) as refused:
        Repository(source).commit_id("f" * 40)
    assert refused.value.finding.code == "NoSuchCommit"
