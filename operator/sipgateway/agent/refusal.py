"""A version of a gateway that the switch does not take, and the version before it. Values and words, no I/O.

In: bytes that stood in a file, findings of steps. Out: `Good`, `Refusal`, and what people are told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.errors import Finding
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import file_name
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import read_gateways
from sipgateway.render.switchxml import SwitchXmlError, parse


@dataclass(frozen=True, slots=True)
class Good:
    """A version that loaded. Its content holds secrets and never shows in `repr`."""

    wanted: Wanted
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version that the switch does not take.

    Attributes:
        revision: of that version.
        finding: what is said of it, for as long as it is wanted.
        good: what takes its place; None: nothing is known to, so its file is only taken away.
        until: when it is tried again, seconds of the event loop's clock.
    """

    revision: str
    finding: Finding
    good: Good | None
    until: float


def good_of(name: str, path: str, data: bytes, profile: str) -> Good | None:
    """A file that stood there, as a version to go back to; None when it holds no gateway of this name of ours."""
    try:
        gateways = read_gateways(parse(preprocess(data, file="").data))
    except SwitchXmlError:
        return None
    for gateway in gateways:
        revision = next((value for key, value, _ in gateway.variables if key == REVISION_VARIABLE), None)
        if gateway.name == name and revision is not None and path.endswith(f"/{file_name(name)}"):
            return Good(Wanted(name, profile, revision, gateway.get("register") != "false", path), data)
    return None


def new_version_refused(name: str, why: Finding) -> Finding:
    """What is said of a version that the switch dropped while the one before it loads."""
    return Finding(
        "NewVersionRefused",
        "",
        f"The switch did not take the new version of {name}: the last good one is put back and stays. {why.message}",
        f"{why.action} The new version is tried again when the gateway changes or its profile is started anew.",
    )


def file_breaks_switch(name: str, words: str, *, kept: bool) -> Finding:
    """What is said of a version whose file the switch's own reader refuses."""
    rest = "the last good version is put back" if kept else "what is loaded of it stays as it is"
    return Finding(
        "FileBreaksSwitch",
        "",
        f"The switch cannot read its configuration with the new file of {name} in it: {words}. The file was taken "
        f"away, so that everything else loads; {rest}.",
        "Change the gateway. Each file is read by a model of the switch's reader before, so please report this as a "
        "defect of sipgateway.",
    )
