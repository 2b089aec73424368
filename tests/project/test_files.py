"""What every file of the project keeps to: nothing of the machine it was written on, a stated job, a readable size."""

from __future__ import annotations

import ipaddress
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path
    for name in subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    if name and (path := ROOT / name.decode()).is_file()
]
MODULES = [path for path in FILES if path.suffix == ".py"]
PRODUCT = [path for path in MODULES if path.is_relative_to(ROOT / "operator")]

#: Folders that only the machine of one person has; a container's own are named in the files that build it.
MACHINE_PATH = re.compile(r"(?<![\w.$~})])/(?:work|root|home|Users)/")
URL = re.compile(r"\bhttps?://(?:[^\s/@]*@)?(\[[^\]]*\]|[\w.-]+)")
#: Where a URL in the project may lead: sites that a reader is sent to, and names that exist for examples.
HOSTS = re.compile(
    r"[\w-]+|(?:.*\.)?example(?:\.(?:com|net|org))?|127\.0\.0\.1|10\.244\.0\.1|\[::1\]|192\.0\.2\.\d+|\[2001:db8:[^]]*\]|.*\.(?:test|invalid|svc)"
    r"|keepachangelog\.com|www\.conventionalcommits\.org|semver\.org"
    r"|www\.apache\.org|www\.rfc-editor\.org|www\.w3\.org|kubernetes\.io"
    r"|json-schema\.org|git-lfs\.github\.com"
    r"|(?:www\.|developer\.)?(?:signalwire|freeswitch|cluecon)\.(?:com|org)|github\.com"
)
IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])")
EXAMPLE_NETWORKS = [
    ipaddress.ip_network(n)
    for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/32")
]


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[tuple[Path, int, re.Match[str]]]:
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace")
        found += [(path, text.count("\n", 0, m.start()) + 1, m) for m in pattern.finditer(text)]
    return found


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    assert not [f"{p}:{line}: {m[0]}" for p, line, m in lines_with(MACHINE_PATH, FILES)]


def test_every_url_leads_to_a_site_that_readers_are_sent_to() -> None:
    assert not [f"{p}:{line}: {m[0]}" for p, line, m in lines_with(URL, FILES) if not HOSTS.fullmatch(m[1])]


def test_the_locked_dependencies_name_no_place_to_load_them_from() -> None:
    for path in ROOT.glob("constraints/*.txt"):
        assert not re.search(r"://|^-|--(?!hash=sha256:)", path.read_text(), re.MULTILINE), path


def test_examples_use_addresses_that_belong_to_nobody() -> None:
    examples = [p for p in FILES if p.is_relative_to(ROOT / "manifests") or p.name == "README.md"]
    strangers = [
        f"{p}:{line}: {m[0]}"
        for p, line, m in lines_with(IPV4, examples)
        if not any(ipaddress.ip_address(m[0]) in network for network in EXAMPLE_NETWORKS)
    ]
    assert not strangers


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_its_job_in_its_first_line(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
    assert re.match(r'r?"""[^\s"].{10,}', lines[0] if lines else ""), "the first line is the start of a docstring"


@pytest.mark.parametrize("path", [p for p in PRODUCT if p.name == "__init__.py"], ids=lambda p: p.parent.name)
def test_every_room_says_what_comes_in_and_what_goes_out(path: Path) -> None:
    if path.parent.name != "sipgateway":
        docstring = path.read_text().split('"""')[1]
        assert re.search(r"^In: .*\bOut: ", docstring, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", PRODUCT, ids=lambda p: str(p.relative_to(ROOT / "operator")))
def test_no_file_of_the_product_is_longer_than_a_reader_can_hold(path: Path) -> None:
    length = len(path.read_text().splitlines())
    assert length < 450, "a file that grows past 400 lines has become two"


def test_the_package_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_text_files_end_with_one_newline_and_hold_no_carriage_return() -> None:
    texts = [p for p in FILES if p.suffix in {".py", ".md", ".toml", ".sh", ".yaml"} and "golden" not in p.parts]
    bad = [p for p in texts if (data := p.read_bytes()) and (b"\r" in data or not re.search(rb"[^\n]\n\Z", data))]
    assert not bad
