"""Where a gateway's file stands under the switch's configuration folder.

In: an effective gateway. Out: a relative path. Names that a switch accepts are safe in a path; long ones are cut and
told apart by a digest, and directory users are encoded, so that no name leads out of its folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote

from sipgateway.api.gateway import Gateway

_PREFIX = "sipgw-"
_SUFFIX = ".xml"
_LONGEST = 255
_OURS = re.compile(r"sipgw-[A-Za-z0-9_.\-]+(?:~[0-9a-f]{32})?\.xml", re.ASCII)


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders that the switch includes, relative to its configuration folder.

    Attributes:
        profile: of a profile's gateways; `{profile}` is replaced.
        directory: of a directory user's gateways; `{domain}` and `{user}` are replaced.
    """

    profile: str = "sip_profiles/{profile}"
    directory: str = "directory_gateways/{domain}/{user}"


def file_name(name: str) -> str:
    """The file's name for a gateway name, at most 255 bytes; different names give different files."""
    whole = f"{_PREFIX}{name}{_SUFFIX}"
    if len(whole) <= _LONGEST:
        return whole
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{_PREFIX}{name[:180]}~{digest}{_SUFFIX}"


def relative_path(gateway: Gateway, layout: Layout | None = None) -> str:
    """The path of a gateway's file, with `/` between folders."""
    layout = layout or Layout()
    user = gateway.target.directory
    if user is None:
        folder = layout.profile.format(profile=_part(gateway.target.profile))
    else:
        folder = layout.directory.format(domain=_part(user.domain), user=_part(user.user))
    return f"{folder}/{file_name(gateway.name)}"


def is_ours(filename: str) -> bool:
    """Whether a file's name (without folder) is one that we write."""
    return _OURS.fullmatch(filename) is not None and len(filename) <= _LONGEST


def _part(text: str) -> str:
    encoded = quote(text, safe="@+")
    return encoded.replace(".", "%2E", 1) if encoded.startswith(".") else encoded
