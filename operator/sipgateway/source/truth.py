"""How FreeSWITCH reads words and numbers: `switch_true` (switch_utils.h), `atoi`, transports (sofia_glue.c).

In: the text of an attribute. Out: what the switch really uses. Used to say so, and to keep it on import.
"""

from __future__ import annotations

import re
from typing import Final

#: `switch_true` compares without case.
TRUE_WORDS: Final = frozenset({"yes", "on", "true", "t", "enabled", "active", "allow"})
#: Words by which people mean false; any other word is false too, and probably a mistake.
FALSE_WORDS: Final = frozenset({"no", "off", "false", "f", "disabled", "inactive", "deny", "0", ""})
_NUMBER = re.compile(r"[-+]?[0-9.]*", re.ASCII)
_LEADING = re.compile(r"[ \t\n\v\f\r]*([-+]?[0-9]+)", re.ASCII)
_MAX_INT: Final = 2**31 - 1


def is_true(text: str | None) -> bool:
    """What `switch_true` says."""
    if text is None:
        return False
    return text.lower() in TRUE_WORDS or (_NUMBER.fullmatch(text) is not None and atoi(text) != 0)


def atoi(text: str) -> int:
    """C's `atoi`: leading blanks, a sign, digits; the rest is passed over; 0 without digits."""
    found = _LEADING.match(text)
    return max(-_MAX_INT - 1, min(_MAX_INT, int(found[1][:20]))) if found else 0


def is_plain_number(text: str) -> bool:
    """Whether `atoi` reads the whole text, and reads it as people do."""
    return re.fullmatch(r"0|[1-9][0-9]{0,9}", text, re.ASCII) is not None


def transport(text: str) -> str | None:
    """What `sofia_glue_str2transport` takes a word for: prefixes, without case; None: unknown."""
    for word in ("udp", "tcp", "sctp", "tls"):
        if text.lower().startswith(word):
            return word
    return None
