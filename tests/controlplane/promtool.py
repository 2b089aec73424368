"""Prometheus' own tool, for tests: where it is, and what it says of queries over series that were really scraped.

In: scrapes (series -> value), PromQL. Out: the samples that each query gives.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).parents[2]

#: Seconds between two scrapes, as Prometheus has it by default.
INTERVAL = 30


def find() -> str:
    """From SIPGW_PROMTOOL, the PATH, or where `tools/controlplane.sh promtool` built it; skips the test without one."""
    found = os.environ.get("SIPGW_PROMTOOL") or shutil.which("promtool") or _built()
    if not found:
        assert os.environ.get("CI") != "true", "no promtool: `sh tools/controlplane.sh promtool` builds it"
        pytest.skip("no promtool: `sh tools/controlplane.sh promtool` builds it; or name one in SIPGW_PROMTOOL")
    return found


def _built() -> str:
    command = ["sh", str(_ROOT / "tools" / "controlplane.sh"), "promtool", "where"]
    folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return shutil.which("promtool", path=folder) or ""


def ask(
    promtool: str, scrapes: Sequence[Mapping[str, float]], queries: Sequence[str], folder: Path
) -> dict[str, list[float]]:
    """What each query gives at the moment of the last scrape: promtool shows it where it was told to expect nothing.

    Args:
        promtool: the program.
        scrapes: series with all their labels -> value, `INTERVAL` apart.
        queries: PromQL; no two are equal.
        folder: to write in.
    """
    names = list(dict.fromkeys(name for scrape in scrapes for name in scrape))
    series = [{"series": name, "values": " ".join(_value(scrape.get(name)) for scrape in scrapes)} for name in names]
    moment = f"{INTERVAL * (len(scrapes) - 1)}s"
    asked = [{"expr": query, "eval_time": moment, "exp_samples": []} for query in queries]
    test = {"interval": f"{INTERVAL}s", "input_series": series, "promql_expr_test": asked}
    path = folder / "queries.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": f"{INTERVAL}s", "tests": [test]}, width=1_000_000))
    done = subprocess.run([promtool, "test", "rules", path], cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    found: dict[str, list[float]] = {query: [] for query in queries}
    for part in re.split(r"^\s+expr: ", said, flags=re.MULTILINE)[1:]:
        query = next((q for q in queries if part.startswith(_quoted(q) + ",")), None)
        assert query is not None, part
        _, got, answer = part.partition("got: ")
        assert got, part
        found[query] = [float(value) for value in re.findall(r"\} ([^\s,]+)(?:, \{|\s*$)", answer.splitlines()[0])]
    assert done.returncode == 0 or any(found.values()), said
    return found


def _value(value: float | None) -> str:
    return "_" if value is None or math.isnan(value) else repr(value)


def _quoted(query: str) -> str:
    """As Go's %q writes it."""
    return '"' + query.replace("\\", "\\\\").replace('"', '\\"') + '"'
