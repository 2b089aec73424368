"""Every block of commands on a page is run, or says in the line before it why not; none is left out in silence.

`<!-- run by FILE -->`: that file runs it. `<!-- not run: REASON -->`: nothing does. `<!-- run -->` and no mark: the
test that the page has as a whole, of those below.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.process import clean_environment
from tests.docs.pages import PAGES, ROOT, Block, block, blocks, typed

#: Page -> what runs each of its blocks that has no other mark.
WHOLE = {"docs/start.md": "tests/docs/test_start.py", "docs/promotion.md": "tests/promote/test_docs.py"}
#: Generated pages, and the text of their blocks that only a reader can fill in.
TO_FILL_IN = {"docs/conditions.md": "kubectl wait --for=condition=Ready sipgateway/NAME --timeout=60s\n"}
#: Pages, or folders of them, none of whose blocks is run, and why.
NOT_RUN = {
    "docs/runbooks/": "for a cluster in trouble, with its names; that the commands exist is checked in tests/project",
    "docs/doctor.md": "for a cluster of the reader's",
}
BLOCKS = [block for page in PAGES for block in blocks(page)]


def runs(block: Block) -> str | None:
    """The file that runs a block; None when it says why nothing does, "" when it says nothing."""
    page = str(block.page.relative_to(ROOT))
    if any(page.startswith(place) for place in NOT_RUN) and not block.mark:
        return None
    if re.fullmatch(r"not run: \S.{7,}", block.mark) or TO_FILL_IN.get(page) == block.text:
        return None
    if block.mark in {"", "run"}:
        return WHOLE.get(page, "")
    return block.mark.removeprefix("run by ")  # one that is of neither form names no file


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_every_block_is_run_or_says_why_not(block: Block) -> None:
    by = runs(block)
    assert by != "", f"{block.where} is not run, and does not say why"
    if by is not None:
        runner = ROOT / by
        assert runner.is_file(), f"{block.where}: there is no {by}"
        named = block.page.name in runner.read_text() or (by == ".ci/run" and block.text.strip() in runner.read_text())
        assert named, f"{by} does not name {block.page.name}"


def test_what_is_not_run_stays_few() -> None:
    left_out = [f"{block.where}: {block.mark}" for block in BLOCKS if runs(block) is None and block.mark]
    print("\n".join([*left_out, *(f"{place}: {why}" for place, why in NOT_RUN.items())]))
    assert len(left_out) <= 25, "\n".join(left_out)


def test_a_switch_that_exists_is_looked_at_as_import_md_says(tmp_path: Path) -> None:
    conf = tmp_path / "freeswitch"
    (conf / "sip_profiles" / "external").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "docs" / "carrier.xml", conf / "sip_profiles" / "external")
    # Without a switch there is nothing to compare with: `sipgw diff` has tests of its own.
    text = block(ROOT / "docs" / "import.md", "sipgw lint /etc").replace("/etc/freeswitch", str(conf))
    said = typed(text.partition(" && sipgw diff")[0], tmp_path)
    assert "correct-horse" not in said
    assert [path.name for path in (tmp_path / "trunks").glob("carrier*.yaml")]


def test_the_demo_that_readme_md_begins_with_ends_well() -> None:
    [block] = [b for b in blocks(ROOT / "README.md") if "test_blocks" in b.mark]
    assert block.text == "make demo\n"
    assert "\ndemo: " in (ROOT / "Makefile").read_text()  # which makes the environment that we are in, and then:
    done = subprocess.run(
        [sys.executable, "-m", "sipgateway", "demo"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
