"""A hook of MkDocs. In: a page. Out: the page, with links that leave docs/ as names of files in the sources."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """On the site there are no sources to link to: the place is named instead."""
    return _OUTSIDE.sub(lambda m: f"{m[1]} (`{m[2]}`)", markdown)
