"""`sipgw env`, `promote` and `rollback` on a repository: what they commit, what they refuse, and what stays."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sipgateway.cli import main
from sipgateway.reconcile.evidence import Verdict
from tests.git.served import git, new_repository
from tests.promote.conftest import LAYOUT, Clone

PRODUCTION = "environments/production/acme.yaml"


def test_what_init_writes_passes_lint_and_can_be_promoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = new_repository(tmp_path / "new")
    assert main(["env", "init", str(folder)]) == 0
    for name in ("staging", "production"):
        assert main(["lint", str(folder / "environments" / name)]) == 0
    assert main(["env", "init", str(folder)]) == 3
    assert "EnvironmentsExist" in capsys.readouterr().err
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    one = Clone(folder, capsys)
    one.note("staging")
    code, output, errors = one("promote", "staging", "production")
    assert (code, errors) == (0, "")
    assert "spec.expireSeconds: (not set) -> 600" in output


def test_a_promotion_is_one_commit_that_says_where_from_and_why(clone: Clone) -> None:
    before = clone.head
    code, output, errors = clone("promote", "staging", "production")
    assert (code, errors) == (0, "")
    assert clone.git("rev-list", "--count", f"{before}..HEAD") == "1"
    assert clone.git("log", "-1", "--format=%(trailers:key=Promoted-From,valueonly)") == "staging"
    assert clone.git("log", "-1", "--format=%(trailers:key=Promoted-Commit,valueonly)") == before
    assert clone.git("log", "-1", "--format=%(trailers:key=Evidence,valueonly)").startswith(f"Good at {before}")
    assert clone.git("diff", "--name-only", before, "HEAD") == PRODUCTION
    assert clone.git("status", "--porcelain") == ""
    assert "expireSeconds: 600" in clone.read(PRODUCTION)
    assert 'username: "4989123"' in clone.read(PRODUCTION)
    assert "committed" in output


def test_twice_is_once_and_a_promotion_rolled_back_is_as_before(clone: Clone, edit: Callable[[int], str]) -> None:
    first = clone.git("rev-parse", "HEAD:environments/production")
    assert clone("promote", "staging", "production")[0] == 0
    promoted = clone.head
    code, output, _ = clone("promote", "staging", "production")
    assert (code, output, clone.head) == (0, "nothing to promote\n", promoted)
    code, output, errors = clone("rollback", "production")
    assert (code, errors) == (0, "")
    assert clone.git("rev-parse", "HEAD:environments/production") == first
    assert clone.git("rev-parse", "HEAD:environments/staging") == clone.git(
        "rev-parse", f"{promoted}:environments/staging"
    )
    assert clone.git("log", "-1", "--format=%(trailers:key=Rolled-Back-To,valueonly)") != ""
    assert clone.git("status", "--porcelain") == ""
    edit(700)
    assert clone("promote", "staging", "production")[0] == 0
    assert "expireSeconds: 700" in clone.read(PRODUCTION)


def test_a_branch_for_a_pull_request_leaves_the_work_tree_alone(clone: Clone) -> None:
    before = clone.head
    code, output, _ = clone("promote", "staging", "production", "--branch", "promote-acme")
    assert code == 0
    assert clone.head == before
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("rev-list", "--count", f"{before}..promote-acme") == "1"
    assert "on promote-acme" in output
    code, _, errors = clone("promote", "staging", "production", "--branch", "promote-acme")
    assert code == 2
    assert "already" in errors


def test_a_dry_run_commits_nothing(clone: Clone) -> None:
    before = clone.head
    assert clone("promote", "staging", "production", "--dry-run")[0] == 0
    assert clone.head == before


def test_changes_that_are_not_committed_are_never_overwritten(clone: Clone) -> None:
    before = clone.head
    (clone.folder / PRODUCTION).write_text("mine")
    code, _, errors = clone("promote", "staging", "production")
    assert (code, clone.head) == (1, before)
    assert "UncommittedChanges" in errors
    assert clone.read(PRODUCTION) == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("promote", "production", "staging"), 3, "the way is staging -> production"),
        (("promote", "staging", "nowhere"), 3, "There is no environment nowhere; known are staging, production."),
        (("promote", "staging", "production", "--commit", "--all"), 2, "--commit"),
        (("promote", "staging", "production", "--branch=-f"), 2, "no name of a branch"),
        (("promote", "staging", "production", "--evidence-remote=ext::sh -c x"), 2, "BadRepository"),
        (("promote", "staging", "production", "--wait", "5"), 2, "--push"),
        (("rollback", "staging", "--to=--output=x"), 2, "no name of a branch"),
        (("rollback", "production", "--to", "0" * 40), 3, "NoSuchCommit"),
        (("rollback", "production"), 3, "NothingToRollBack"),
        (("rollback", "production", "--last-good"), 3, "NothingToRollBack"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    clone: Clone, arguments: tuple[str, ...], code: int, word: str
) -> None:
    before = clone.head
    ended, _, errors = clone(*arguments)
    assert ended == code, errors
    assert word in errors
    assert clone.head == before


def gate(clone: Clone, *arguments: str) -> str:
    """What keeps a promotion; nothing may be committed then."""
    before = clone.head
    code, _, errors = clone("promote", "staging", "production", *arguments)
    assert (code, clone.head) == (1, before), errors
    assert "GateNotMet" in errors
    return errors


def test_without_evidence_of_this_content_nothing_goes_on(clone: Clone) -> None:
    clone.commit({"environments/staging/acme.yaml": clone.read("environments/staging/acme.yaml") + "# new\n"})
    assert "there is no evidence that staging works with this content" in gate(clone)


def test_a_commit_that_does_not_touch_it_loses_no_evidence(clone: Clone) -> None:
    clone.commit({"README": "new"})
    assert clone("promote", "staging", "production")[0] == 0


def test_bad_evidence_names_the_gateway(clone: Clone) -> None:
    time.sleep(1.1)  # evidence has whole seconds, the younger one counts
    clone.note("staging", Verdict.BAD)
    assert "staging does not work with this content: acme (CredentialsRefused)" in gate(clone)


def test_a_gate_of_time_says_since_when_and_when_it_can_be_met(clone: Clone) -> None:
    clone.commit({"environments/staging/acme.yaml": clone.read("environments/staging/acme.yaml") + "# new\n"})
    clone.note("staging", ago=10)
    told = gate(clone)
    assert "have been Ready for 10 s of 60 s (since " in told or "for 11 s of 60 s (since " in told
    assert "UTC at the earliest" in told


def test_an_approval_must_be_somebody_elses(clone: Clone) -> None:
    layout = LAYOUT.replace("{readyFor: 60s}", "{approval: Approved-by}")
    clone.commit({"environments/environments.yaml": layout})
    path = "environments/staging/acme.yaml"
    assert "nobody approves" in gate(clone)
    for number, (who, told) in enumerate(
        (("Operator <o@example.com>", "the author himself"), ("Second <s@example.com>", ""))
    ):
        clone.commit({path: clone.read(path) + f"# {number}\n"}, f"change\n\nApproved-by: {who}")
        clone.note("staging")
        if told:
            assert told in gate(clone)
    assert clone("promote", "staging", "production")[0] == 0


def public(key: Ed25519PrivateKey, path: Path) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return str(path)


def test_evidence_that_a_manifests_author_forged_is_refused_where_keys_are_set(clone: Clone, tmp_path: Path) -> None:
    writer, forger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    trusted = ("--trusted-evidence", public(writer, tmp_path / "trusted.pem"))
    assert "no evidence signed by a trusted key" in gate(clone, *trusted)  # the fixture's is not signed
    clone.note("staging", key=forger)
    assert "no evidence signed by a trusted key" in gate(clone, *trusted)
    clone.note("staging", key=writer)
    assert clone("promote", "staging", "production", *trusted)[0] == 0


def test_a_file_of_keys_without_a_key_is_refused(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    for path in ("none.pem", "missing.pem"):
        code, _, errors = clone("promote", "staging", "production", "--trusted-evidence", str(tmp_path / path))
        assert code == 3
        assert "KeysFile" in errors


def test_last_good_skips_what_was_bad(clone: Clone, edit: Callable[[int], str]) -> None:
    assert clone("promote", "staging", "production")[0] == 0
    good = clone.head
    clone.note("production")
    for seconds in (700, 800):
        edit(seconds)
        assert clone("promote", "staging", "production")[0] == 0
        clone.note("production", Verdict.BAD)
    code, output, _ = clone("rollback", "production", "--last-good")
    assert code == 0
    assert f"production goes back to {good[:12]}" in output
    assert clone.git("rev-parse", "HEAD:environments/production") == clone.git(
        "rev-parse", f"{good}:environments/production"
    )


def test_status_says_what_stands_where_and_what_could_go_on(clone: Clone, edit: Callable[[int], str]) -> None:
    code, output, _ = clone("env", "status")
    assert code == 0
    assert "spec.expireSeconds: 600 -> (not set)" in output
    assert output.splitlines()[-1] == "staging -> production: now: change acme"
    edit(700)
    code, output, _ = clone("env", "status", "--output", "json")
    staging, production = json.loads(output)["environments"]
    assert staging["evidence"]["verdict"] == "Good"
    assert production["pending"] == ["change acme"]
    assert production["notYet"] == []
    assert clone("promote", "staging", "production")[0] == 0
    assert clone("env", "status")[1].splitlines()[-1] == "staging -> production: now: nothing to promote"


def test_what_another_has_pushed_meanwhile_is_not_overwritten(clone: Clone, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    bare.mkdir()
    git(bare, "init", "-q", "--bare", "-b", "main", ".")
    clone.git("remote", "add", "origin", str(bare))
    clone.git("push", "-q", "origin", "main")
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(bare), str(other))
    git(other, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "--allow-empty", "-m", "theirs")
    git(other, "push", "-q", "origin", "main")
    before = clone.head
    code, _, errors = clone("promote", "staging", "production", "--push")
    assert (code, clone.head) == (1, before)
    assert "PushRefused" in errors
    assert clone.git("status", "--porcelain") == ""
    clone.git("pull", "-q", "--rebase", "origin", "main")
    assert clone("promote", "staging", "production", "--push")[0] == 0
    assert git(bare, "rev-parse", "main") == clone.head
