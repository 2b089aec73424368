"""Where a gateway's file stands under the switch's configuration folder.

In: an effective gateway. Out: a relative path. No name leads out of its folder, no two names to one file, and no part
is longer than a file system takes (255 bytes): what does not fit is cut and told apart by a digest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import GATEWAY_NAME
from sipgateway.render.codes import UNSAFE_PATH
from sipgateway.render.xml import RenderError

_PREFIX = "sipgw-"
_SUFFIX = ".xml"
_LONGEST = 255
_KEPT = 180
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
    """The file's name for a gateway name, at most 255 bytes; different names give different files.

    A name that no switch loads (fact 11) gives one too, so that anybody may ask, but none that `is_ours`.
    """
    encoded = name if GATEWAY_NAME.fullmatch(name) else _encoded(name)
    whole = f"{_PREFIX}{encoded}{_SUFFIX}"
    return whole if len(whole) <= _LONGEST else f"{_PREFIX}{_cut(encoded)}{_SUFFIX}"


def relative_path(gateway: Gateway, layout: Layout | None = None) -> str:
    """The path of a gateway's file, with `/` between folders.

    Raises:
        RenderError: a name cannot be part of a path, or no switch loads a gateway of this name.
    """
    if GATEWAY_NAME.fullmatch(gateway.name) is None:
        raise RenderError(UNSAFE_PATH.because("metadata.name", f"{gateway.name!r} is no gateway name."))
    layout = layout or Layout()
    user = gateway.target.directory
    if user is None:
        folder = layout.profile.format(profile=_part("spec.profile", gateway.target.profile))
    else:
        folder = layout.directory.format(
            domain=_part("spec.directory.domain", user.domain), user=_part("spec.directory.user", user.user)
        )
    return f"{folder}/{file_name(gateway.name)}"


def is_ours(filename: str) -> bool:
    """Whether a file's name (without folder) is one that we write."""
    return _OURS.fullmatch(filename) is not None and len(filename) <= _LONGEST


def _part(field: str, text: str) -> str:
    """A name as one folder: what is unusual in paths is written `%XX`, a leading dot too (fact 31)."""
    if not text:
        raise RenderError(UNSAFE_PATH.because(field, "An empty name is no folder's name."))
    encoded = _encoded(text)
    if encoded.startswith("."):
        encoded = f"%2E{encoded[1:]}"
    return encoded if len(encoded) <= _LONGEST else _cut(encoded)


def _encoded(text: str) -> str:
    return quote(text, safe="@+", errors="surrogatepass").replace("~", "%7E")


def _cut(text: str) -> str:
    """A long name cut; `~`, which stands in no whole name, tells it from them."""
    return f"{text[:_KEPT]}~{hashlib.sha256(text.encode()).hexdigest()[:32]}"
