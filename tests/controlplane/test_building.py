"""The script that builds the control plane's programs: once, whole or not at all, and what it says.

A stand-in for Go answers at once. The real build is what every run of these tests begins with.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.process import wait_until
from tests.controlplane.programs import NAMES, ROOT

#: Writes a "program" to the place that follows `-o`; waits while the file named by its package is held.
GO = """#!/bin/sh
case $1 in
env) echo "${VERSION:-go1.99.0}" ;;
mod) exit "${MOD:-0}" ;;
build)
  name=${5##*/}
  echo "$name" >>"$WORK/built"
  [ "$name" = "${FAILS:-}" ] && echo "it does not compile" >&2 && exit 1
  [ "$name" = "${HANGS:-}" ] && exec sleep 61
  echo half >"$5"
  chmod +x "$5"
  ;;
esac
"""


class Builds:
    """Calls of the script with a cache of their own."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.cache = work / "cache"
        self.go = work / "go"
        self.go.write_text(GO)
        self.go.chmod(0o755)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if k not in {"KUBEBUILDER_ASSETS", "GO"}}
        own = {"XDG_CACHE_HOME": str(self.cache), "GO": str(self.go), "WORK": str(self.work)}
        return subprocess.Popen(
            ["/bin/sh", ROOT / "tools" / "controlplane.sh", *arguments],
            env=inherited | own | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err

    @property
    def built(self) -> list[str]:
        record = self.work / "built"
        return record.read_text().split() if record.exists() else []

    @property
    def folder(self) -> Path:
        return Path(self("where")[1].strip())

    def there(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


@pytest.fixture
def start(builds: Builds) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A build in the background that a failing test does not leave behind."""
    started: list[subprocess.Popen[str]] = []

    def begin(**environment: str) -> subprocess.Popen[str]:
        started.append(builds.start(**environment))
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def test_all_programs_are_built_once(builds: Builds) -> None:
    code, _, said = builds()
    assert code == 0, said
    assert builds.there() == set(NAMES)
    assert "[5/5] helm" in said
    assert builds() == (0, "", "")
    assert sorted(builds.built) == sorted(NAMES)


def test_a_node_has_more_programs(builds: Builds) -> None:
    assert builds("node")[0] == 0
    assert builds.there() == {*NAMES, "kubelet", "kube-scheduler"}


def test_what_cannot_be_built_is_named_and_the_rest_is_kept(builds: Builds) -> None:
    code, _, said = builds(FAILS="kubectl")
    assert code == 1
    assert "it does not compile" in said
    assert "kubectl could not be built" in said
    assert builds.there() == {"etcd", "kube-apiserver", "kube-controller-manager"}
    assert builds()[0] == 0
    assert builds.there() == set(NAMES)
    assert builds.built.count("etcd") == 1


def test_modules_that_cannot_be_had_end_it(builds: Builds) -> None:
    code, _, said = builds(MOD="1")
    assert code == 1
    assert "the modules cannot be had" in said
    assert not builds.there()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_build_ends_at_once_and_goes_on_later(
    builds: Builds, start: Callable[..., subprocess.Popen[str]], how: signal.Signals
) -> None:
    before = signal.signal(how, signal.SIG_DFL)  # what is ignored here, under nohup, would be ignored there
    process = start(HANGS="kubectl")
    signal.signal(how, before)
    wait_until(lambda: "kubectl" in builds.built, 10, lambda: "the build does not come to kubectl")
    process.send_signal(how)
    _, said = process.communicate(timeout=30)  # also the end of all that could write there: nothing goes on
    assert process.returncode == 130
    assert "interrupted" in said
    assert builds.there() == {"etcd", "kube-apiserver", "kube-controller-manager"}
    code, _, said = builds()
    assert code == 0
    assert "building 2 programs" in said
    assert builds.there() == set(NAMES)


def test_a_second_build_waits_for_the_first_and_finds_everything_done(
    builds: Builds, start: Callable[..., subprocess.Popen[str]]
) -> None:
    first = start(HANGS="helm")
    wait_until(lambda: "helm" in builds.built, 10, lambda: "the build does not come to helm")
    second = start()
    assert second.stderr is not None
    assert "another build is at work" in second.stderr.readline()
    assert builds.built.count("helm") == 1
    first.terminate()
    first.communicate(timeout=30)
    _, said = second.communicate(timeout=30)
    assert second.returncode == 0
    assert "building 1 programs" in said


def test_programs_that_are_given_are_not_built(builds: Builds, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (assets / name).touch(mode=0o755)
    code, _, said = builds(KUBEBUILDER_ASSETS=str(assets))
    assert code == 0, said
    assert "has no kube-controller-manager helm" in said
    assert builds.there() == {"kube-controller-manager", "helm"}
    assert builds(KUBEBUILDER_ASSETS=str(assets)) == (0, "", "")


def test_a_folder_of_given_programs_that_has_none_is_no_hindrance(builds: Builds, tmp_path: Path) -> None:
    code, _, said = builds(KUBEBUILDER_ASSETS=str(tmp_path / "typo"))
    assert code == 0
    assert "typo has no etcd kube-apiserver" in said


def test_an_unknown_word_is_refused(builds: Builds) -> None:
    code, _, said = builds("wehre")
    assert code == 2
    assert "what is wehre" in said
