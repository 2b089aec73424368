"""Repositories for tests: one with a work tree, and a bare one that git's own http-backend serves over TLS on loopback.

In: folders. Out: commits, a URL with a user and a password, and what was asked of it.
"""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.controlplane.certificates import Authority

USER = "sync"
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Operator"), ("EMAIL", "operator@example.com"))
}


def git(folder: Path, *arguments: str, data: bytes | None = None, check: bool = True, **more: str) -> str:
    """What a command of git prints; nothing of this machine's configuration is used."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment = own | _IDENTITY | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | more
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=data, capture_output=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def new_repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A repository with a work tree on branch main, and one commit when there are files."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main", ".")
    for name, value in (("user.name", "Operator"), ("user.email", "operator@example.com"), ("commit.gpgsign", "false")):
        git(folder, "config", name, value)
    if files:
        commit(folder, files)
    return folder


def commit(folder: Path, files: Mapping[str, str | None], message: str = "change") -> str:
    """Writes files (None removes one), commits them, returns the commit."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


class Served:
    """A bare repository over https with a password; a context."""

    def __init__(self, folder: Path, password: str) -> None:
        self.bare = folder / "trunks.git"
        self.bare.mkdir(parents=True)
        git(self.bare, "init", "-q", "--bare", "-b", "main", ".")
        git(self.bare, "config", "http.receivepack", "true")
        self.requests: list[str] = []
        authority = Authority(folder, "git CA")
        pair = authority.sign("git", "git", hosts=("127.0.0.1",))
        self.credentials = folder / "credentials"
        self.credentials.mkdir()
        (self.credentials / "username").write_text(USER)
        (self.credentials / "password").write_text(password)
        (self.credentials / "ca.crt").write_bytes(Path(authority.certificate).read_bytes())
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(pair.certificate, pair.key)
        wanted = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
        handler = type("Handler", (_Backend,), {"bare": self.bare, "wanted": wanted, "seen": self.requests})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/trunks.git"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], name="git")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Backend(BaseHTTPRequestHandler):
    """The CGI of git, as its documentation has it for a web server."""

    bare: Path
    wanted: str
    seen: list[str]

    def _serve(self) -> None:
        self.seen.append(f"{self.command} {self.path}")
        if self.headers.get("Authorization") != self.wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        if path.startswith("/moved.git/"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved.git/", "/trunks.git/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    do_GET = do_POST = _serve  # noqa: N815 - the names that the base class looks for

    def log_message(self, *_: Any) -> None:
        pass
