"""kubectl and helm. In: arguments, a kubeconfig, a folder for what they keep. Out: what they said, a clear failure."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.controlplane.process import clean_environment


def run(
    program: Path,
    arguments: Sequence[str],
    *,
    kubeconfig: Path,
    home: Path,
    stdin: str | bytes | None,
    check: bool,
    seconds: float,
) -> subprocess.CompletedProcess[str]:
    """Runs a client to its end; nothing that the person at this machine has set up reaches it.

    Raises:
        AssertionError: It failed, and `check` is set; the text has what it said.
    """
    environment = clean_environment(
        HOME=str(home),
        KUBECONFIG=str(kubeconfig),
        KUBECACHEDIR=str(home / "kube"),
        HELM_CACHE_HOME=str(home / "helm" / "cache"),
        HELM_CONFIG_HOME=str(home / "helm" / "config"),
        HELM_DATA_HOME=str(home / "helm" / "data"),
    )
    command = [str(program), *arguments]
    data = stdin.encode() if isinstance(stdin, str) else stdin or b""
    done = subprocess.run(command, env=environment, input=data, capture_output=True, timeout=seconds, check=False)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        said = "\n".join(part for part in (err.strip(), out.strip()) if part)
        raise AssertionError(f"{program.name} {' '.join(arguments)} ended with {done.returncode}:\n{said}")
    return subprocess.CompletedProcess(command, done.returncode, out, err)
