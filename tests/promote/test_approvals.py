"""Approvals by signed tags: who may, of what, and everything that is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sipgateway.cli import main
from tests.git.served import Served, commit, git, new_repository
from tests.git.signing import sign_tag, signer
from tests.promote.conftest import LAYOUT, Clone

STAGING = "environments/staging/acme.yaml"


@dataclass
class Keys:
    """Two people who may approve, of whom one is the author of everything here, and one who may not."""

    second: Path
    author: Path
    nobody: Path
    approvers: Path


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    folder = tmp_path / "keys"
    folder.mkdir()
    made = {name: signer(folder, name) for name in ("second", "author", "nobody")}
    approvers = folder / "approvers"
    approvers.write_text(
        f'second@example.com namespaces="git" {made["second"][1]}'
        f'Operator@example.com namespaces="git" {made["author"][1]}'
    )
    return Keys(made["second"][0], made["author"][0], made["nobody"][0], approvers)


@pytest.fixture
def asked(clone: Clone) -> Clone:
    """Staging asks for a tag, and has evidence."""
    layout = LAYOUT.replace("{readyFor: 60s}", "{approvalTag: approved}")
    clone.commit({"environments/environments.yaml": layout, STAGING: clone.read(STAGING) + "# new\n"})
    clone.note("staging")
    return clone


def gate(clone: Clone, *flags: str) -> str:
    before = clone.head
    code, _, errors = clone("promote", "staging", "production", *flags)
    assert (code, clone.head) == (1, before), errors
    return errors


def test_a_tag_that_somebody_else_has_signed_lets_it_go_on_and_stands_in_the_commit(asked: Clone, keys: Keys) -> None:
    assert "who may approve is not told: --approvers FILE" in gate(asked)
    flags = ("--approvers", str(keys.approvers))
    assert f"nobody approves of commit {asked.head[:12]} with a signed tag approved/staging/NAME" in gate(asked, *flags)
    sign_tag(asked.folder, "approved/staging/1", keys.second)
    asked.commit({"README": "does not touch it"})
    code, output, _ = asked("env", "status", *flags)
    assert (code, "staging -> production: now" in output) == (0, True), output
    assert asked("promote", "staging", "production", *flags)[0] == 0
    approval = asked.git("log", "-1", "--format=%(trailers:key=Approval,valueonly)")
    assert approval == "approved/staging/1 by second@example.com"


def test_the_authors_own_tag_is_none_in_whatever_case(asked: Clone, keys: Keys) -> None:
    sign_tag(asked.folder, "approved/staging/1", keys.author)
    assert "approvalTag: the author himself approves" in gate(asked, "--approvers", str(keys.approvers))
    sign_tag(asked.folder, "approved/staging/2", keys.second)
    assert asked("promote", "staging", "production", "--approvers", str(keys.approvers))[0] == 0


def test_what_is_changed_after_the_tag_is_not_approved(asked: Clone, keys: Keys) -> None:
    sign_tag(asked.folder, "approved/staging/1", keys.second)
    asked.commit({STAGING: asked.read(STAGING) + "# newer\n"})
    asked.note("staging")
    assert "nobody approves" in gate(asked, "--approvers", str(keys.approvers))


@pytest.mark.parametrize("how", ["unsigned", "lightweight", "stranger", "environment", "shown-as", "signed-commit"])
def test_a_tag_that_proves_nothing_is_none(asked: Clone, keys: Keys, how: str) -> None:
    tag = "approved/staging/1"
    match how:
        case "unsigned":
            asked.git("tag", "-a", "-m", "yes", tag)
        case "lightweight":
            asked.git("tag", tag)
        case "stranger":
            sign_tag(asked.folder, tag, keys.nobody)
        case "environment":
            sign_tag(asked.folder, "approved/production/1", keys.second)
        case "shown-as":  # what somebody signed for another purpose, under a name that would mean yes
            sign_tag(asked.folder, "v1.0", keys.second)
            asked.git("update-ref", f"refs/tags/{tag}", asked.git("rev-parse", "refs/tags/v1.0"))
        case _:  # a signed commit is not an approval of itself
            signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={keys.second}")
            asked.git(*signing, "commit", "-q", "--allow-empty", "-S", "-m", "signed")
            asked.git("tag", tag)
    assert "approvalTag: nobody approves" in gate(asked, "--approvers", str(keys.approvers))


def test_a_key_that_only_the_repository_or_the_machine_knows_does_not_count(asked: Clone, keys: Keys) -> None:
    sign_tag(asked.folder, "approved/staging/1", keys.nobody)
    allowed = keys.approvers.with_name("theirs")
    allowed.write_text(f"third@example.com {keys.nobody.with_suffix('.pub').read_text()}")
    asked.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
    liar = keys.approvers.with_name("liar")
    liar.write_text("#!/bin/sh\necho 'Good \"git\" signature for second@example.com with ED25519 key SHA256:x'\n")
    liar.chmod(0o755)
    asked.git("config", "gpg.ssh.program", str(liar))
    assert "approvalTag: nobody approves" in gate(asked, "--approvers", str(keys.approvers))


def test_a_file_of_approvers_that_is_not_there_is_refused(asked: Clone) -> None:
    code, _, errors = asked("promote", "staging", "production", "--approvers", "missing")
    assert code == 3
    assert "KeysFile: --approvers" in errors


# A repository somewhere else


def test_a_repository_somewhere_else_is_promoted_in_without_a_clone(
    asked: Clone, keys: Keys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Served(tmp_path / "served", "correct-horse") as served:
        folder = asked.folder
        git(folder, "push", "-q", str(served.bare), "main", "refs/notes/*:refs/notes/*")
        where = (f"--repository={served.url}", f"--credentials={served.credentials}", f"--approvers={keys.approvers}")

        def promote(*more: str) -> tuple[int, str, str]:
            capsys.readouterr()
            code = main(["promote", "staging", "production", *where, *more])
            shown = capsys.readouterr()
            return code, shown.out, shown.err

        code, _, errors = promote()
        assert (code, "nobody approves" in errors) == (1, True), errors
        sign_tag(folder, "approved/staging/1", keys.second)
        git(folder, "push", "-q", str(served.bare), "approved/staging/1")
        before = git(served.bare, "rev-parse", "main")
        assert promote("--dry-run")[0] == 0
        assert git(served.bare, "rev-parse", "main") == before

        kept = f"--folder={tmp_path / 'kept'}"
        code, output, errors = promote(kept)
        assert (code, errors) == (0, "")
        assert git(served.bare, "rev-list", "--count", f"{before}..main") == "1"
        assert git(served.bare, "log", "-1", "--format=%an", "main") == "sipgateway"
        code, output, _ = promote(kept)
        assert (code, output) == (0, "nothing to promote\n")

        # An approval that is withdrawn holds no longer, however long the copy is kept.
        commit(folder, {STAGING: asked.read(STAGING) + "# newer\n"})
        git(folder, "pull", "-q", "--rebase", str(served.bare), "main")
        asked.note("staging")
        sign_tag(folder, "approved/staging/2", keys.second)
        everything = ("main", "refs/notes/*:refs/notes/*", "approved/staging/2")
        git(folder, "push", "-q", str(served.bare), *everything)
        assert promote(kept, "--dry-run")[0] == 0
        git(folder, "push", "-q", str(served.bare), ":refs/tags/approved/staging/2")
        code, _, errors = promote(kept, "--dry-run")
        assert (code, "nobody approves" in errors) == (1, True), errors

        assert main(["env", "status", *where, kept]) == 0
        assert main(["rollback", "production", *where[:2], kept]) == 0
        git(served.bare, "fsck", "--strict")


def test_what_goes_with_an_address_is_refused_for_a_clone(clone: Clone, tmp_path: Path) -> None:
    for flag in ("--base=main", f"--folder={tmp_path}", f"--credentials={tmp_path}"):
        code, _, errors = clone("promote", "staging", "production", flag)
        assert (code, "it goes with --repository URL" in errors) == (2, True)


def test_a_branch_of_another_name_and_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clone: Clone
) -> None:
    source = f"--repository=file://{new_repository(tmp_path / 'empty', {'a': 'b'})}"
    assert main(["promote", "staging", "production", source, "--base=trunk"]) == 1
    assert "NoSuchBranch: " in capsys.readouterr().err
    clone.git("branch", "-m", "main", "trunk")
    clone.git("config", "receive.denyCurrentBranch", "ignore")
    before = clone.head
    assert main(["promote", "staging", "production", f"--repository=file://{clone.folder}", "--base=trunk"]) == 0
    assert clone.git("rev-list", "--count", f"{before}..trunk") == "1"
