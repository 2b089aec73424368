"""The canary: a password that must turn up nowhere.

In: outputs, files and folders, running processes. Out: an AssertionError that says where it was seen and in which form:
as it is, quoted for XML, JSON or a URL, in base64, in hex, or as a bare hash (from which a short password is guessed).

    def test_the_password_is_in_no_output(canary, tmp_path):
        result = subprocess.run([... canary.password ...], capture_output=True)
        canary.assert_absent(result.stdout, result.stderr, tmp_path / "log")
        canary.assert_private(tmp_path / "conf")
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr


class Canary:
    """A random password and the ways to look for it.

    Attributes:
        password: 28 characters, legal in a SIP credential, with some that each quoting changes.
    """

    def __init__(self) -> None:
        self.password = f"C&n'{secrets.token_urlsafe(15)}<@>+"
        self._forms = tuple(forms(self.password))

    def seen_in(self, data: bytes) -> str | None:
        """The form in which the password is in `data`; None when it is not."""
        return next((name for name, form in self._forms if form in data), None)

    def assert_absent(self, *places: str | bytes | Path) -> None:
        """Fails when the password is in a text, in bytes, in a file, or anywhere under a folder (file names too)."""
        for place in places:
            for where, data in _contents(place):
                if form := self.seen_in(data):
                    raise AssertionError(f"the canary password is in {where} ({form})")

    def assert_private(self, folder: Path) -> None:
        """Fails when a file under `folder` that holds the password can be read by all."""
        for path in _files(folder):
            mode = path.stat().st_mode & 0o777
            if mode & 0o007 and (form := self.seen_in(path.read_bytes())):
                raise AssertionError(f"the canary password is in {path} ({form}), mode {mode:04o}")

    def assert_in_no_process_arguments(self) -> None:
        """Fails when the password is in the arguments of any running process but this one."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    arguments = (folder / "cmdline").read_bytes()
                except OSError:
                    continue  # gone
                if form := self.seen_in(arguments):
                    raise AssertionError(f"the canary password is in the arguments of process {folder.name} ({form})")


def forms(password: str) -> Iterator[tuple[str, bytes]]:
    """What a password may look like when it leaks: (form, bytes to look for)."""
    raw = password.encode()
    yield "as it is", raw
    yield "XML text", escape(password).encode()
    yield "XML attribute", quoteattr(password)[1:-1].encode()
    yield "XML attribute, apostrophes too", escape(password, {"'": "&apos;", '"': "&quot;"}).encode()
    yield "XML attribute, numeric", escape(password, {"'": "&#39;", '"': "&#34;"}).encode()
    yield "JSON", json.dumps(password)[1:-1].encode()
    yield "Python repr", repr(password)[1:-1].encode()
    yield "URL", quote(password, safe="").encode()
    yield "URL form", quote_plus(password).encode()
    yield "hex", raw.hex().encode()
    for skip in range(3):  # the three ways in which base64 of a longer text can hold it
        encoded = base64.b64encode(b"\0" * skip + raw)
        whole = encoded[4 if skip else 0 : -4]
        yield "base64", whole
        yield "base64 for URLs", whole.translate(bytes.maketrans(b"+/", b"-_"))
    for name in ("md5", "sha1", "sha256"):
        yield f"bare {name}", hashlib.new(name, raw).hexdigest().encode()


def _contents(place: str | bytes | Path) -> Iterator[tuple[str, bytes]]:
    if isinstance(place, bytes):
        yield "an output", place
    elif isinstance(place, str):
        yield "an output", place.encode("utf-8", "surrogateescape")
    else:
        if not place.exists():
            raise AssertionError(f"{place} is not there, so nothing can be said about it")
        for path in _files(place):
            yield str(path), os.fsencode(path) + b"\0" + path.read_bytes()


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    else:
        yield from (p for p in sorted(place.rglob("*")) if p.is_file())
