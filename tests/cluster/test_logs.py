"""Each line of a log is one JSON object, whoever wrote it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def lines(code: str) -> list[dict[str, Any]]:
    """What a process that runs this code writes to stderr, line by line."""
    before = "from sipgateway.cluster import logs\nimport asyncio, logging, threading, warnings\n"
    done = subprocess.run(
        [sys.executable, "-c", before + code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_says_when_how_bad_and_about_what() -> None:
    (entry,) = lines("""
logs.set_up("info")
about = {"gateway": "voice/acme", "generation": 3, "fleet": "", "other": 1}
logging.getLogger("sipgateway.x").info("wrote %s\\nand more", "it", extra=about)
logging.getLogger("sipgateway.x").debug("not this")
""")
    assert entry.pop("time").startswith("20")
    assert entry == {
        "level": "info",
        "logger": "sipgateway.x",
        "message": "wrote it\nand more",
        "gateway": "voice/acme",
        "generation": 3,
    }


def test_warnings_of_libraries_are_lines_too() -> None:
    (entry,) = lines('logs.set_up("info")\nwarnings.warn("old-fashioned", DeprecationWarning, stacklevel=1)')
    assert "old-fashioned" in entry["message"]
    assert entry["level"] == "warning"


def test_what_nobody_caught_is_one_line_with_its_traceback() -> None:
    (entry,) = lines('logs.set_up("info")\nraise ValueError("broken")')
    assert entry["level"] == "critical"
    assert "Traceback" in entry["exception"]
    assert "broken" in entry["exception"]


def test_what_nobody_caught_in_a_thread_is_one_line_too() -> None:
    (entry,) = lines('logs.set_up("info")\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()')
    assert "ZeroDivisionError" in entry["exception"]


def test_what_nobody_waited_for_is_one_line_too() -> None:
    entries = lines("""
logs.set_up("info")
async def main():
    async def broken():
        raise ValueError("broken")
    task = asyncio.create_task(broken())
    await asyncio.sleep(0.01)
    del task
asyncio.run(main())
""")
    assert [e["logger"] for e in entries] == ["asyncio"]


def test_a_librarys_traceback_may_be_left_out_but_not_its_words() -> None:
    quiet, loud = lines("""
logs.set_up("info", one_line=["kopf"])
for name in ("kopf._core.x", "sipgateway.x"):
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger(name).exception("a %s failed", "watch")
""")
    assert quiet["message"] == "a watch failed: division by zero"
    assert "exception" not in quiet
    assert "Traceback" in loud["exception"]


def test_libraries_say_only_what_is_wrong() -> None:
    entries = lines("""
logs.set_up("debug")
logging.getLogger("aiohttp.client").info("chatter")
logging.getLogger("aiohttp.client").warning("hear this")
""")
    assert [e["message"] for e in entries] == ["hear this"]


def test_text_that_is_no_unicode_breaks_no_line() -> None:
    (entry,) = lines('logs.set_up("info")\nlogging.getLogger("sipgateway").info("cut \\ud800 off")')
    assert entry["message"].startswith("cut ")
