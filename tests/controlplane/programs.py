"""Where the programs of the control plane are. In: KUBEBUILDER_ASSETS and the cache. Out: paths, or what to do."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")


class MissingProgramsError(Exception):
    """Programs of the control plane are not built; the text names them and the command that builds them."""


@functools.cache
def cache() -> Path:
    """The folder that `make controlplane` fills; the script alone knows its name."""
    script = ["/bin/sh", str(ROOT / "tools" / "controlplane.sh"), "where"]
    return Path(subprocess.run(script, capture_output=True, text=True, check=True, timeout=30).stdout.strip())


def find(name: str) -> Path:
    """The program's path: in KUBEBUILDER_ASSETS, else in the cache.

    Raises:
        MissingProgramsError: It is in neither.
    """
    given = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in ([Path(given)] if given else []) + [cache()]:
        if os.access(folder / name, os.X_OK):
            return folder / name
    raise MissingProgramsError(advice([name]))


def missing() -> list[str]:
    """The programs that are nowhere."""
    absent = []
    for name in NAMES:
        try:
            find(name)
        except MissingProgramsError:
            absent.append(name)
    return absent


def advice(absent: list[str]) -> str:
    """What to tell somebody who lacks programs."""
    return f"the control plane lacks {', '.join(absent)}: run `make controlplane` (9 minutes, once)"
