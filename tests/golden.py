"""Golden files: what a test's output must be, kept beside the test and rewritten with one flag.

In: `golden(name, actual)` in a test. Out: a failure with a diff; with `--regold` (or `SIPGW_REGOLD=1`) the file anew.

The file is `golden/<module without test_>/<name>` beside the test's module. Inputs may stand beside their outputs when
their name contains `.in.` (`two-proxies.in.yaml`, `two-proxies.out.xml`). A file that no test asked for, though every
test of its module ran and passed, is stale: it fails the run, and `--regold` deletes it.
"""

from __future__ import annotations

import difflib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

FOLDER = "golden"
_HOW = "if it is right, run the same test with --regold and read the diff before you commit it"


def folder_of(module: Path) -> Path:
    """Where a test module's golden files stand."""
    return module.parent / FOLDER / module.stem.removeprefix("test_")


def difference(name: str, expected: bytes, actual: bytes) -> str:
    """Says how `actual` differs: a unified diff, or the first byte where both look the same."""
    before, after = (data.decode("utf-8", "backslashreplace").splitlines(keepends=True) for data in (expected, actual))
    lines = list(difflib.unified_diff(before, after, f"golden {name}", f"actual {name}"))
    if lines:
        return "".join(line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n" for line in lines)
    pairs = enumerate(zip(expected, actual, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(actual)))
    return f"{name} differs from byte {at} on: {expected[at : at + 20]!r} became {actual[at : at + 20]!r}\n"


class Golden:
    """The golden files of one test module.

    Args:
        folder: where they stand.
        regold: rewrite instead of compare.
        used: grows by each file that was asked for, with what it was compared to.
    """

    def __init__(self, folder: Path, *, regold: bool, used: dict[Path, bytes]) -> None:
        self.folder = folder
        self._regold = regold
        self._used = used

    def __call__(self, name: str, actual: str | bytes) -> None:
        """Compares `actual` to the golden file `name` (UTF-8, no newline translated), or rewrites it.

        Raises:
            pytest.fail.Exception: they differ, the file is missing, or two tests want different bytes of one file.
        """
        path = self.folder / name
        data = actual.encode() if isinstance(actual, str) else actual
        if self._regold:
            if self._used.setdefault(path, data) != data:
                pytest.fail(f"two tests give different bytes for {path}: give each a file of its own", pytrace=False)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != data:
                path.write_bytes(data)
            return
        self._used[path] = data
        if not path.is_file():
            pytest.fail(f"no golden file {path}\n{difference(name, b'', data)}\n{_HOW}", pytrace=False)
        expected = path.read_bytes()
        if expected != data:
            pytest.fail(f"{difference(name, expected, data)}\n{_HOW}", pytrace=False)


class GoldenFiles:
    """The pytest plugin that knows which golden files were asked for, and which ones nobody wants any more."""

    def __init__(self, config: pytest.Config) -> None:
        self.regold = bool(config.getoption("--regold")) or os.environ.get("SIPGW_REGOLD") == "1"
        if self.regold and os.environ.get("CI") == "true":
            raise pytest.UsageError("golden files are compared on a build machine (CI=true), never rewritten")
        self.used: dict[Path, bytes] = {}
        self._collected: defaultdict[Path, set[str]] = defaultdict(set)
        self._passed: set[str] = set()
        self._partial = {Path(str(config.invocation_params.dir), a.split("::")[0]) for a in config.args if "::" in a}
        self._stale: list[Path] = []

    def for_module(self, module: Path) -> Golden:
        """The golden files of one test module."""
        return Golden(folder_of(module), regold=self.regold, used=self.used)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remembers which tests each module has."""
        for item in session.items:
            self._collected[item.path].add(item.nodeid)

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """A module that runs in part cannot say what is stale."""
        self._partial.update(item.path for item in items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remembers which tests came to their end."""
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)

    def stale(self) -> list[Path]:
        """Golden files that no test asked for, of the modules that ran whole, and of modules that are gone."""
        whole = [m for m, tests in self._collected.items() if m not in self._partial and tests <= self._passed]
        folders = {folder_of(module) for module in whole}
        for parent in {module.parent / FOLDER for module in self._collected}:
            if parent.is_dir():
                folders |= {f for f in parent.iterdir() if not (parent.parent / f"test_{f.name}.py").is_file()}
        files = (f for folder in folders for f in ([folder] if folder.is_file() else folder.rglob("*")) if f.is_file())
        return sorted(f for f in files if f not in self.used and ".in." not in f.name)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fails the run for stale files, or deletes them when golden files are being rewritten."""
        self._stale = self.stale()
        if self.regold:
            for path in self._stale:
                path.unlink()
        elif self._stale and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Names the stale files."""
        if self._stale:
            verdict = "deleted" if self.regold else "FAILED: delete them, or run with --regold"
            terminalreporter.section(f"stale golden files ({verdict})", red=not self.regold)
            for path in self._stale:
                terminalreporter.line(str(path))
