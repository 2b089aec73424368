"""`sipgw sync` as a process: evidence, exit codes, a push that is told, and `kill -9`."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import random
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sipgateway.reconcile.evidence import Evidence, Verdict, is_signed_by, parse
from tests.controlplane.ports import free_port
from tests.controlplane.process import Program, clean_environment, wait_until
from tests.docs.pages import ROOT, block, typed
from tests.git.served import commit, git, new_repository
from tests.kube.lab import Lab
from tests.sync.commits import FOLDER, manifest

pytestmark = pytest.mark.timeout(180)

#: Random kills of a sync. `SIPGW_KILLS=100 pytest tests/sync/test_follow.py -k killed` kills more often.
KILLS = int(os.environ.get("SIPGW_KILLS", "6"))

SECRET = b"a secret that is long enough"


@dataclass
class Followed:
    """A repository, and how a sync of it is called."""

    lab: Lab
    folder: Path
    source: Path
    notes: Path
    key: Ed25519PrivateKey
    kubeconfig: Path

    def command(self, *flags: str) -> list[str]:
        return [
            *(sys.executable, "-m", "sipgateway", "sync"),
            f"--repository={self.source}",
            "--environment=staging",
            f"--folder={self.folder / 'mirror'}",
            f"--kubeconfig={self.kubeconfig}",
            f"--evidence-remote={self.notes}",
            f"--evidence-key={self.folder / 'key.pem'}",
            *flags,
        ]

    def once(self, *flags: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command("--once", *flags),
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def commit(self, files: dict[str, str | None]) -> str:
        return commit(self.source, {f"{FOLDER}/{name}": text for name, text in files.items()})

    def program(self, every: int = 1) -> Program:
        return Program("sync", self.command(f"--every={every}"), self.folder / "sync.log", is_ready=lambda: True)

    def applied(self, made: str) -> int:
        """How many gateways have come from this commit."""
        found = self.lab.all("sipgateways")
        return sum(one["metadata"]["annotations"]["sipgateway.dev/commit"] == made for one in found)

    def evidence(self, made: str) -> tuple[Evidence, ...]:
        git(self.notes, "fetch", "-q", str(self.source), "main")  # so that git shows a note on what it knows
        ref = "refs/notes/sipgateway/staging"
        return parse(git(self.notes, "notes", f"--ref={ref}", "show", made, check=False))


@pytest.fixture
def followed(empty: Lab, account: Path, tmp_path: Path) -> Followed:
    layout = {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "Environments",
        "environments": [{"name": "staging", "namespace": empty.namespace}],
    }
    source = new_repository(tmp_path / "source", {"environments/environments.yaml": yaml.safe_dump(layout)})
    notes = tmp_path / "notes.git"
    notes.mkdir()
    git(notes, "init", "-q", "--bare", ".")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    return Followed(empty, tmp_path, source, notes, key, account)


def suspended(name: str, **spec: object) -> str:
    """Ready without a switch."""
    return manifest(name, suspend=True, **spec)


def test_one_look_for_ci_says_by_its_exit_code_what_became_of_the_commit(followed: Followed) -> None:
    good = followed.commit({"a.yaml": suspended("a"), "b.yaml": suspended("b")})
    assert followed.once()[0] == 0
    [found] = followed.evidence(good)
    assert (found.verdict, found.gateways, found.ready, found.deleted) == (Verdict.GOOD, 2, 2, ())
    assert is_signed_by(found, [followed.key.public_key()])

    bad = followed.commit({"c.yaml": manifest("c", switch="nobody")})
    code, said = followed.once("--deadline=1")
    assert code == 1, said
    [found] = followed.evidence(bad)
    assert (found.verdict, [one.name for one in found.not_ready]) == (Verdict.BAD, ["c"])
    assert "sipgw rollback staging --last-good" in said

    refused = followed.commit({"c.yaml": manifest("c", proxxy="x")})
    code, said = followed.once()
    assert code == 1, said
    [found] = followed.evidence(refused)
    assert (found.verdict, [one.reason for one in found.not_ready]) == (Verdict.REFUSED, ["UnknownField"])
    assert found.not_ready[0].name.startswith(f"{FOLDER}/c.yaml:")
    assert "spec" in said

    git(followed.source, "branch", "-m", "main", "trunk")
    code, said = followed.once()
    assert (code, "NoSuchBranch" in said) == (1, True), said
    assert followed.once("--branch=--upload-pack=x")[0] == 2


def test_a_first_look_and_its_evidence_as_git_sync_md_says(followed: Followed) -> None:
    page, home = ROOT / "docs" / "git-sync.md", followed.folder / "home"
    followed.commit({"a.yaml": suspended("a")})
    origin = followed.folder / "origin.git"
    git(followed.source, "clone", "-q", "--bare", ".", str(origin))
    look = block(page, "sipgw sync --once").replace("https://git.example.com/voice/trunks.git", str(origin))
    typed(look, followed.folder, KUBECONFIG=str(followed.kubeconfig))
    git(followed.source, "remote", "add", "origin", str(origin))
    said = typed(block(page, "git fetch origin"), followed.source, HOME=str(home))
    [found] = parse(said[said.index("{") :])
    assert (found.verdict, found.gateways) == (Verdict.GOOD, 1)


def test_a_push_that_is_told_is_looked_at_at_once_and_one_that_is_not_signed_is_not(followed: Followed) -> None:
    (followed.folder / "secret").write_bytes(SECRET)
    door, health = free_port(), free_port()
    flags = (
        f"--webhook-listen=127.0.0.1:{door}",
        f"--webhook-secret={followed.folder / 'secret'}",
        f"--listen=127.0.0.1:{health}",
        "--every=3600",
    )
    first = followed.commit({"a.yaml": suspended("a")})
    sync = Program(
        "sync",
        followed.command(*flags),
        followed.folder / "sync.log",
        is_ready=lambda: urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz", timeout=5).status == 200,
    )

    def told(body: bytes, signature: str | None) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{door}/webhook", body, method="POST")
        if signature is not None:
            request.add_header("X-Hub-Signature-256", signature)
        try:
            return int(urllib.request.urlopen(request, timeout=5).status)  # noqa: S310 - http
        except urllib.error.HTTPError as error:
            return error.code

    def sign(body: bytes, secret: bytes = SECRET) -> str:
        return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()

    try:
        sync.start()
        wait_until(lambda: bool(followed.evidence(first)), 30, sync.tail)
        second = followed.commit({"a.yaml": suspended("a", ping=60)})
        for signature in (None, "", "sha256=", sign(b"{}", b"another secret than that"), sign(b"{ }"), "sha1=0"):
            assert told(b"{}", signature) == 401
        assert told(b"x" * (1024 * 1024 + 1), sign(b"x")) == 413
        assert followed.evidence(second) == ()
        assert told(b"{}", sign(b"{}")) == 202
        wait_until(lambda: bool(followed.evidence(second)), 30, sync.tail)
        assert followed.lab.get("sipgateways", "a")["spec"]["ping"] == 60
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{health}/metrics", timeout=5).read().decode()
        assert "sipgateway_sync_good 1.0" in metrics
        # A push while gateways are waited for ends the wait.
        slow = followed.commit({"a.yaml": manifest("a", switch="nobody")})
        assert told(b"{}", sign(b"{}")) == 202
        annotation = "sipgateway.dev/commit"
        wait_until(
            lambda: followed.lab.get("sipgateways", "a")["metadata"]["annotations"][annotation] == slow, 30, sync.tail
        )
        fixed = followed.commit({"a.yaml": suspended("a")})
        assert told(b"{}", sign(b"{}")) == 202
        wait_until(lambda: bool(followed.evidence(fixed)), 30, sync.tail)
        assert sync.stop() == 0
    finally:
        if sync.runs:
            sync.kill()


@pytest.mark.timeout(120 + 10 * KILLS)
def test_killed_at_any_moment_no_commit_stays_half_applied_or_unnoticed(followed: Followed) -> None:
    chance = random.Random(7)
    names = [f"gw-{n}" for n in range(60)]
    sync = followed.program()
    halves = 0
    try:
        for turn in range(KILLS):
            gone = set(chance.sample(names, 3))
            there = followed.source / FOLDER
            made = followed.commit(
                {
                    f"{name}.yaml": None if name in gone else suspended(name, ping=30 + turn)
                    for name in names
                    if name not in gone or (there / f"{name}.yaml").exists()
                }
            )
            sync.launch()
            at = chance.randint(0, 57)
            with contextlib.suppress(TimeoutError):  # a moment of its own where there is nothing to see
                limit = 20.0 if at else chance.uniform(0.3, 1.5)
                wait_until(lambda at=at, made=made: followed.applied(made) >= (at or 99), limit, lambda: "", 0.002)  # type: ignore[misc]
            sync.kill()
            halves += 0 < followed.applied(made) < 57
        # One gateway changes; of all others the last process has to find out what is missing.
        last = followed.commit({"gw-60.yaml": suspended("gw-60", ping=20)})
        sync.launch()
        wait_until(lambda: bool(followed.evidence(last)), 30, sync.tail)
        assert sync.stop() == 0
    finally:
        if sync.runs:
            sync.kill()
    wanted = {
        path.stem: yaml.safe_load(path.read_text())["spec"]["ping"]
        for path in (followed.source / FOLDER).glob("*.yaml")
    }
    there_now = {one["metadata"]["name"]: one["spec"]["ping"] for one in followed.lab.all("sipgateways")}
    assert there_now == wanted
    assert halves, "no kill came while a commit was being applied"
    found = followed.evidence(last)[-1]
    assert (found.verdict, found.gateways) == (Verdict.GOOD, len(wanted))
    git(followed.folder / "mirror" / "mirror.git", "fsck", "--strict")
    git(followed.notes, "fsck", "--strict")


def test_a_commit_that_was_half_applied_is_finished_though_the_next_one_is_refused(followed: Followed) -> None:
    names = [f"gw-{n}" for n in range(60)]
    followed.commit({f"{name}.yaml": suspended(name, ping=30) for name in names})
    assert followed.once()[0] == 0
    half = followed.commit({f"{name}.yaml": suspended(name, ping=40) for name in names})
    sync = followed.program()
    try:
        sync.launch()
        wait_until(lambda: followed.applied(half) > 5, 20, sync.tail, 0.002)
        sync.kill()
        assert followed.applied(half) < len(names)
        refused = followed.commit({"gw-0.yaml": None, "gw-1.yaml": manifest("gw-1", proxxy="x")})
        sync.launch()
        wait_until(lambda: bool(followed.evidence(refused) and followed.evidence(half)), 30, sync.tail)
        assert sync.stop() == 0
    finally:
        if sync.runs:
            sync.kill()
    assert followed.evidence(refused)[0].verdict is Verdict.REFUSED
    assert followed.evidence(half)[0].verdict is Verdict.GOOD
    assert {one["spec"]["ping"] for one in followed.lab.all("sipgateways")} == {40}
    assert len(followed.lab.all("sipgateways")) == len(names)


def test_what_a_later_commit_removed_does_not_come_back_when_the_next_one_is_refused(followed: Followed) -> None:
    followed.commit({f"{n}.yaml": suspended(f"gw-{n}") for n in range(4)})
    assert followed.once()[0] == 0
    followed.commit({"0.yaml": None})
    assert followed.once()[0] == 0
    followed.commit({"1.yaml": manifest("gw-1", proxxy="x")})
    assert followed.once()[0] == 1
    assert sorted(one["metadata"]["name"] for one in followed.lab.all("sipgateways")) == ["gw-1", "gw-2", "gw-3"]


def test_what_somebody_else_noted_does_not_stand_for_ours(followed: Followed) -> None:
    made = followed.commit({"a.yaml": suspended("a")})
    assert followed.once()[0] == 0
    (ours,) = followed.evidence(made)
    ref = "--ref=refs/notes/sipgateway/staging"
    git(followed.source, "notes", ref, "add", "-f", "-m", replace(ours, signature="").line, made)
    assert followed.once()[0] == 0
    assert any(is_signed_by(one, [followed.key.public_key()]) for one in followed.evidence(made))


def test_a_look_that_failed_is_taken_again_soon_however_seldom_looks_are(followed: Followed) -> None:
    made = followed.commit({"a.yaml": suspended("a")})
    git(followed.source, "branch", "-m", "main", "trunk")
    sync = followed.program(every=3600)
    try:
        sync.launch()
        wait_until(lambda: "NoSuchBranch" in sync.tail(), 30, sync.tail)
        git(followed.source, "branch", "-m", "trunk", "main")
        wait_until(lambda: bool(followed.evidence(made)), 30, sync.tail)
        assert sync.tail().count("NoSuchBranch") == 1  # the same words once
        assert sync.stop() == 0
    finally:
        if sync.runs:
            sync.kill()
