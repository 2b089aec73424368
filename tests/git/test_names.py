"""Names and addresses on git's command line: nothing is an option, a program, or a place for a password."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipgateway.errors import ExitCode, SipgwError
from sipgateway.git import names


@pytest.mark.parametrize("name", ["main", "release/1.0", "a", "feature_x-2", "v1.2.3+4"])
def test_a_plain_branch_is_taken(name: str) -> None:
    assert names.branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-",
        "--upload-pack=touch /tmp/x",
        "-c",
        "a..b",
        "a//b",
        "a/",
        "a.lock",
        "a.lock/b",
        "HEAD",
        "@{u}",
        "a@{1}",
        "a:b",
        "+main",
        "a b",
        "a\nb",
        "a\0b",
        "a~1",
        "a^",
        "a*",
        "a\\b",
        "/a",
        ".a",
        "a/.b",
        "ma\u0131n",
        "a" * 256,
    ],
)
def test_what_is_no_branch_is_refused(name: str) -> None:
    with pytest.raises(SipgwError) as refused:
        names.branch(name)
    assert (refused.value.finding.code, refused.value.exit_code) == ("BadRepository", ExitCode.USAGE)


@settings(max_examples=60)
@given(st.text(alphabet="ab-./_@{}~^:+ \\*?[\n", min_size=1, max_size=12))
def test_what_is_taken_git_takes_for_a_branch_too(name: str) -> None:
    try:
        names.branch(name)
    except SipgwError:
        return
    assert subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False).returncode == 0
    assert not name.startswith("-")


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/trunks.git",
        "https://sync@git.example.com:8443/a/b.git",
        "https://[2001:db8::1]/trunks.git",
        "ssh://git@git.example.com:2222/trunks.git",
        "git@git.example.com:voice/trunks.git",
        "file:///srv/git/trunks.git",
        "/srv/git/trunks.git",
    ],
)
def test_an_address_is_taken(url: str) -> None:
    assert names.url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "trunks",
        "../trunks",
        "-oProxyCommand=touch",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c touch% /tmp/x",
        "ext::sh",
        "fd::17",
        "git://git.example.com/trunks.git",
        "http://git.example.com/trunks.git",
        "ftp://git.example.com/trunks.git",
        "ssh://-oProxyCommand=touch/trunks.git",
        "ssh://-oProxyCommand=touch@git.example.com/trunks.git",
        "-oProxyCommand=touch@git.example.com:trunks.git",
        "git@-oProxyCommand=touch:trunks.git",
        "git@git.example.com:-trunks.git",
        "https:///trunks.git",
        "https://[2001:db8::1/trunks.git",
        "https://git.example.com:port/trunks.git",
        "https://git.example.com/a b",
        "https://git.example.com/a\nb",
        "https::https://git.example.com/trunks.git",
    ],
)
def test_what_runs_a_program_or_is_not_protected_is_refused(url: str) -> None:
    with pytest.raises(SipgwError) as refused:
        names.url(url)
    assert refused.value.exit_code is ExitCode.USAGE


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(SipgwError) as refused:
        names.url("https://sync:correct-horse@git.example.com/trunks.git")
    assert "correct-horse" not in str(refused.value)
    with pytest.raises(SipgwError) as refused:
        names.url("http://sync:correct-horse@git.example.com/trunks.git")
    assert "correct-horse" not in str(refused.value)
