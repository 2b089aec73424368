"""The source distribution: all that is needed to build, test and install it, and nothing that was left lying about."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from tests.docs.pages import ROOT

WANTED = {
    "operator/sipgateway/cli/__init__.py",
    "charts/sipgateway-operator/Chart.yaml",
    "charts/sipgateway-switch/values.yaml",
    "charts/freeswitch-example/charts/sipgateway-switch/values.yaml",
    "charts/freeswitch-example/templates/statefulset.yaml",
    "manifests/install/kustomization.yaml",
    "docs/start.md",
    "docs/ring.svg",
    "tests/conftest.py",
    "tools/venv.sh",
    "constraints/runtime.txt",
    "Makefile",
    "Dockerfile",
    "mkdocs.yml",
    "LICENSE",
    "VERSION",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "PKG-INFO",
}


def test_the_source_distribution_has_all_that_is_needed_and_no_leftovers(tmp_path: Path) -> None:
    build = f"import hatchling.build as b; print(b.build_sdist({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.split()[-1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sorted(WANTED - names) == []
    assert not [n for n in names if {"__pycache__", ".venv", ".cache", ".git"} & set(n.split("/"))]
