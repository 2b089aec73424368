"""What may stand in a command line of git: names and addresses that are no options and run no programs. Pure.

In: texts from users and configuration. Out: the same texts, or a refusal.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from sipgateway.errors import ExitCode, SipgwError
from sipgateway.git import codes

#: What is left of git's own grammar (gitrevisions, git-check-ref-format) when nothing of it can be an option.
_REF = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+/-]*[A-Za-z0-9_+-])?", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_STEPS = re.compile(r"(?:~[0-9]{0,6}|\^)+$", re.ASCII)
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[A-Za-z0-9_~/.][^\x00-\x20]*", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", re.ASCII)
_LONGEST = 255


def branch(name: str) -> str:
    """A branch's or tag's name.

    Raises:
        SipgwError: it is none (exit code 2).
    """
    bad = ("..", "//", "/.", ".lock", "@{")
    if len(name) > _LONGEST or not _REF.fullmatch(name) or any(part in name for part in bad) or name == "HEAD":
        raise _refused(f"{name[:80]!r} is no name of a branch.")
    return name


def revision(text: str) -> str:
    """A commit: its id, whole or the beginning of it, HEAD, or a branch or tag; with steps back, such as `HEAD~2`.

    Raises:
        SipgwError: it is none (exit code 2).
    """
    start = _STEPS.sub("", text)
    if start != "HEAD" and not _SHA.fullmatch(start):
        branch(start)
    return text


def is_id(text: str) -> bool:
    """Whether it is the whole id of an object."""
    return _SHA.fullmatch(text) is not None


def url(text: str) -> str:
    """The address of a repository. A password has no place in it: it would show in logs and process arguments.

    Raises:
        SipgwError: it is none that is taken (exit code 2).
    """
    if any(ord(c) <= 0x20 or ord(c) == 0x7F for c in text):
        raise _refused("The address holds blanks or control characters.")
    if text.startswith("/") or _SCP.fullmatch(text):
        return text
    try:
        place = urlsplit(text)
        place.port  # noqa: B018 - raises
    except ValueError:
        raise _refused(f"{_safe(text)} is no address that is taken.") from None
    if place.scheme not in {"https", "ssh", "file"} or "::" in text.partition("//")[0]:
        raise _refused(f"{_safe(text)} is no address that is taken.")
    if place.password is not None:
        raise _refused(f"The address of {place.hostname} holds a password, which logs and process lists would show.")
    if place.scheme != "file" and not _HOST.fullmatch(place.hostname or ""):
        raise _refused(f"{_safe(text)} names no host.")
    if (place.username or "").startswith("-"):
        raise _refused(f"{_safe(text)} is no address that is taken.")
    return text


def _safe(text: str) -> str:
    return repr(re.sub(r"//[^@/]*@", "//...@", text)[:80])


def _refused(what: str) -> SipgwError:
    return SipgwError(codes.BAD_REPOSITORY.because("", what), ExitCode.USAGE)
