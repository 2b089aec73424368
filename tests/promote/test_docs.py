"""docs/promotion.md: its walk is walked, command by command, in a fresh repository; its keys are made and used."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sipgateway.reconcile.evidence import Verdict
from tests.docs.pages import ROOT, block, typed
from tests.git.served import new_repository
from tests.git.signing import signer
from tests.promote.conftest import LAYOUT, Clone

FILE = ROOT / "docs" / "promotion.md"
PAGE = FILE.read_text()
STEP = re.compile(r"<!-- evidence (\w+) (\w+) -->|<!-- run -->\n```console\n(.*?)```", re.DOTALL)


def matches(expected: str, printed: str) -> bool:
    """Whether something was printed as the page says; `...` stands for anything."""
    pattern = re.escape(expected.strip()).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page needs openssl")
def test_the_keys_of_evidence_are_made_as_the_page_says(clone: Clone, tmp_path: Path) -> None:
    typed(block(FILE, "openssl genpkey"), tmp_path)
    flags = ("staging", "production", "--dry-run", f"--trusted-evidence={tmp_path / 'evidence.pub'}")
    code, _, errors = clone("promote", *flags)
    assert (code, "no evidence signed by a trusted key" in errors) == (1, True), errors
    key = load_pem_private_key((tmp_path / "evidence.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    clone.note("staging", key=key)
    assert clone("promote", *flags)[0] == 0


def test_an_approval_is_signed_as_the_page_says(clone: Clone, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    _, public = signer(home / ".ssh", "id_ed25519")
    clone.commit({"environments/environments.yaml": LAYOUT.replace("readyFor: 60s", "approvalTag: approved")})
    clone.note("staging")
    bare = tmp_path / "origin.git"
    clone.git("clone", "-q", "--bare", ".", str(bare))
    clone.git("remote", "add", "origin", str(bare))
    (clone.folder / "approvers").write_text(f'jo@example.com namespaces="git" {public}')
    made = clone.head
    said = typed(block(FILE, "git config gpg.format").replace("COMMIT", made), clone.folder, HOME=str(home))
    assert "committed" in said
    assert "approved/staging/2026-01-02 by jo@example.com" in clone.git("log", "-1", "--format=%B")


def test_the_recipe_for_a_build_machine_works_as_it_stands(clone: Clone) -> None:
    before = clone.head
    said = typed(block(FILE, "for env in"), clone.folder)
    assert "staging -> production" in said
    assert clone.head == before


def test_the_walk_through_prints_what_the_page_says(tmp_path: Path) -> None:
    folder = new_repository(tmp_path / "trunks")
    clone = Clone(folder, None)  # type: ignore[arg-type] # nothing is captured here
    ran = 0
    for environment, verdict, text in STEP.findall(PAGE):
        if environment:
            clone.note(environment, Verdict(verdict))
            continue
        for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            printed = typed(command, folder)
            assert matches(expected, printed), f"$ {command}\n{printed}\n--- expected\n{expected}"
            ran += 1
    assert ran >= 8
