"""A bare repository over ssh, with a server that lets one key in and runs nothing but git."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh

from tests.git.served import git

USER = "git"
_PROGRAMS = {"git-upload-pack", "git-receive-pack"}
_PATH = "/trunks.git"


class SshServed:
    """The repository, and a folder of credentials that opens it; a context.

    Attributes:
        bare: the repository.
        url: its address.
        credentials: `ssh-privatekey` and `known_hosts`.
        asked: the commands that clients sent.
    """

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "trunks.git"
        self.bare.mkdir(parents=True)
        git(self.bare, "init", "-q", "--bare", "-b", "main", ".")
        self.asked: list[str] = []
        self.credentials = folder / "credentials"
        self.credentials.mkdir()
        self._host = asyncssh.generate_private_key("ssh-ed25519")
        self._client = self.new_key(self.credentials)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sshd")

    @staticmethod
    def new_key(folder: Path, passphrase: str = "") -> str:
        """Puts a new private key into a folder of credentials. Returns its public half."""
        file = folder / "ssh-privatekey"
        file.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(file)], check=True)
        public = file.with_suffix(".pub")
        text = public.read_text()
        public.unlink()
        return text

    def know(self, host: asyncssh.SSHKey | None = None) -> None:
        """Writes `known_hosts`: the server's key, or another one in its place."""
        public = (host or self._host).export_public_key().decode()
        (self.credentials / "known_hosts").write_text(f"[127.0.0.1]:{self._port} {public}")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self._port = self._server.get_port()
        self.url = f"ssh://{USER}@127.0.0.1:{self._port}{_PATH}"
        self.know()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self._host],
            authorized_client_keys=asyncssh.import_authorized_keys(self._client),
            process_factory=self._serve,
            encoding=None,
        )

    async def _close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.asked.append(process.command or "")
        words = shlex.split(process.command or "")
        if len(words) != 2 or words[0] not in _PROGRAMS or words[1] != _PATH:
            process.exit(128)
            return
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        pipe = asyncio.subprocess.PIPE
        served = await asyncio.create_subprocess_exec(
            words[0], str(self.bare), stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        await process.redirect(stdin=served.stdin, stdout=served.stdout, stderr=served.stderr)
        process.exit(await served.wait())
        await process.wait_closed()
