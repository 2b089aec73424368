"""Whose signature a commit has: ssh and OpenPGP keys in one file, and all that is no signature of theirs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipgateway.errors import InputError
from sipgateway.git import signers
from sipgateway.git.repository import Repository
from tests.git.served import git, new_repository
from tests.git.signing import OpenPGP, signer

JO, SAM = "Jo <jo@example.com>", "Sam <sam@example.com>"

pytestmark = pytest.mark.skipif(shutil.which("gpg-agent") is None, reason="needs gpg with its agent")


@pytest.fixture(scope="module")
def pgp() -> Iterator[OpenPGP]:
    made = OpenPGP()
    yield made
    made.close()


@pytest.fixture(scope="module")
def jo(pgp: OpenPGP) -> tuple[str, str]:
    return pgp.signer(JO)


@pytest.fixture(scope="module")
def sam(pgp: OpenPGP) -> tuple[str, str]:
    return pgp.signer(SAM)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "source", {"a.yaml": "first\n"})


def whose(source: Path, allowed: Path, commit: str = "HEAD") -> str:
    with signers.opened(allowed) as known:
        return Repository(source).signer("commit", git(source, "rev-parse", commit), known)


def signed(pgp: OpenPGP, source: Path, key: str) -> None:
    pgp.git(source, key, "commit", "-q", "--allow-empty", "-S", "-m", "signed")


def test_one_file_has_keys_of_both_kinds(
    pgp: OpenPGP, jo: tuple[str, str], sam: tuple[str, str], source: Path, tmp_path: Path
) -> None:
    key, public = signer(tmp_path, "release")
    allowed = tmp_path / "allowed"
    ssh = f'release@example.com namespaces="git" {public}'
    allowed.write_text(f"# who may\n{jo[1]}{ssh}# and\n{sam[1]}")
    assert whose(source, allowed) == ""
    for fingerprint, user in ((jo[0], JO), (sam[0], SAM)):
        signed(pgp, source, fingerprint)
        assert whose(source, allowed) == user
    git(
        source, "-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "commit", "-q", "--allow-empty", "-S", "-m", "x"
    )
    assert whose(source, allowed) == "release@example.com"
    pgp.git(source, jo[0], "tag", "-s", "-m", "yes", "v1")
    with signers.opened(allowed) as known:
        assert Repository(source).signer("tag", git(source, "rev-parse", "v1"), known) == JO

    # Each kind alone: nobody of the other.
    allowed.write_text(ssh)
    assert (whose(source, allowed), whose(source, allowed, "HEAD^")) == ("release@example.com", "")
    allowed.write_text(sam[1].replace("\n", "\r\n"))
    assert [whose(source, allowed, f"HEAD{back}") for back in ("", "^", "^^")] == ["", SAM, ""]


def test_keys_that_only_the_machine_or_the_repository_knows_do_not_count(
    pgp: OpenPGP,
    jo: tuple[str, str],
    sam: tuple[str, str],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed(pgp, source, jo[0])
    allowed = tmp_path / "allowed"
    allowed.write_text(sam[1])
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    (home / "gpg.conf").write_text("trust-model always\n")
    monkeypatch.setenv("GNUPGHOME", str(home))
    liar = tmp_path / "liar"
    liar.write_text(f"#!/bin/sh\necho '[GNUPG:] GOODSIG 0123456789ABCDEF {SAM}'\n")
    liar.chmod(0o755)
    for name in ("gpg.program", "gpg.openpgp.program", "gpg.ssh.program"):
        git(source, "config", name, str(liar))
    assert whose(source, allowed) == ""
    allowed.write_text(f"sam@example.com ssh-ed25519 {'A' * 68}\n")
    assert whose(source, allowed) == ""


def test_what_was_changed_after_the_signature_is_nobodys(
    pgp: OpenPGP, jo: tuple[str, str], source: Path, tmp_path: Path
) -> None:
    signed(pgp, source, jo[0])
    allowed = tmp_path / "allowed"
    allowed.write_text(jo[1])
    assert whose(source, allowed) == JO
    forged = git(source, "cat-file", "commit", "HEAD").replace("\nsigned", "\nforged") + "\n"
    ident = git(source, "hash-object", "-t", "commit", "-w", "--stdin", data=forged.encode())
    assert whose(source, allowed, ident) == ""


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_a_key_that_is_good_no_more_is_nobodys(pgp: OpenPGP, source: Path, tmp_path: Path, how: str) -> None:
    user = f"{how} <{how}@example.com>"
    allowed = tmp_path / "allowed"
    with pgp.at("20200101T000000"):
        fingerprint, public = pgp.signer(user, expires="1y")
        signed(pgp, source, fingerprint)
    if how == "revoked":
        pgp.run("--quick-set-expire", fingerprint, "0")
        allowed.write_text(pgp.armoured(fingerprint))
        assert whose(source, allowed) == user
        pgp.revoke(fingerprint)
        public = pgp.armoured(fingerprint)
    allowed.write_text(public)
    assert whose(source, allowed) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no key"),
        ("# nobody yet\n\n", "has no key"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n", "no whole public key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nx\n-----END PGP PRIVATE KEY BLOCK-----\n", "no whole public key"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n", "block 1"),
        ("a" * (4 * 1024 * 1024 + 1), "larger than"),
    ],
    ids=["empty", "comments", "cut", "private", "garbage", "large"],
)
def test_a_file_that_is_no_file_of_keys_is_refused(tmp_path: Path, text: str, why: str) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(text)
    with pytest.raises(InputError) as refused, signers.opened(allowed):
        pass
    assert refused.value.finding.code == "BadSigners"
    assert why in refused.value.finding.message
    assert str(allowed) in refused.value.finding.message


def test_a_machine_without_gpg_is_told_so_and_needs_none_for_ssh(
    jo: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(jo[1])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as refused, signers.opened(allowed):
        pass
    assert "no program gpg" in refused.value.finding.message
    allowed.write_text("jo@example.com ssh-ed25519 AAAA\n")
    with signers.opened(allowed) as known:
        assert "gpg.openpgp.program=false" in known.settings


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused, signers.opened(tmp_path / "none"):
        pass
    assert "No such file" in refused.value.finding.message
