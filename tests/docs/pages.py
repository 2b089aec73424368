"""The shell blocks of the pages. In: a page. Out: its blocks, with the mark that says why or where each is run; and a
shell to type them into."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.process import clean_environment

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?:sh|shell|bash|console)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of commands; `mark` is the comment in the line before it."""

    page: Path
    line: int
    text: str
    mark: str

    @property
    def where(self) -> str:
        """Page and line, as an editor takes them."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, m.start("text")), m["text"], m["mark"] or "") for m in _BLOCK.finditer(text)
    ]


def block(page: Path, beginning: str) -> str:
    """The text of the one block of a page that begins so."""
    [found] = [one.text for one in blocks(page) if one.text.startswith(beginning)]
    return found


def typed(text: str, where: Path, **environment: str) -> str:
    """Types commands into a shell that has `sipgw`; returns what they said, when all ended well."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=where,
        env=clean_environment(PATH=path, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
