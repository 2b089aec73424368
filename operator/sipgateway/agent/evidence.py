"""Whether a SipGateway still wants a gateway that no ConfigMap asks for any more: the only way that a trunk is removed.

In: answers of the API server to a GET of the SipGateway and of the CRD. Out: an `Evidence`. No I/O.

A 404 says that the SipGateway is gone only if its kind is there and was there all the time: when the CRD is deleted,
its objects are deleted one by one before it goes, and one that comes back begins empty. So the CRD is read *after* the
404: it is marked (deletionTimestamp) before the first of its objects goes, and one that was made anew is younger than
the ConfigMap whose SipGateway is asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sipgateway.api.names import DEFAULT_SWITCH, GROUP, PLURAL
from sipgateway.cluster.client import ApiError


class Evidence(enum.StrEnum):
    """What the answers show."""

    GONE = "its SipGateway is gone"
    SUSPENDED = "its SipGateway is suspended"
    ELSEWHERE = "its SipGateway is for another switch"
    RENAMED = "its SipGateway has another gatewayName now"


@dataclass(frozen=True, slots=True)
class Kind:
    """The CRD of SipGateway as it was read.

    Attributes:
        born: its creationTimestamp.
        whole: whether it is served and not about to go.
    """

    born: str
    whole: bool


def of_gateway(obj: Mapping[str, Any], gateway: str, switch: str) -> Evidence | None:
    """What a SipGateway that is there says of a gateway name on a switch; None: it wants it."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if spec.get("suspend") is True:
        return Evidence.SUSPENDED
    if (spec.get("switch") or DEFAULT_SWITCH) != switch:
        return Evidence.ELSEWHERE
    if (spec.get("gatewayName") or obj["metadata"]["name"]) != gateway:
        return Evidence.RENAMED
    return None


def is_absent(error: ApiError, name: str) -> bool:
    """Whether the API server itself said that there is no SipGateway of this name: the first half of `GONE`.

    The text is that of every NotFound of Kubernetes. A kind that is not served answers with another one, a proxy with
    none.
    """
    return error.not_found and error.is_status and error.message == f'{PLURAL}.{GROUP} "{name}" not found'


def of_kind(obj: Mapping[str, Any]) -> Kind:
    """Reads the CRD."""
    meta, status = obj["metadata"], obj.get("status") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
    whole = (
        not meta.get("deletionTimestamp")
        and conditions.get("Established") == "True"
        and conditions.get("Terminating") != "True"
    )
    return Kind(str(meta["creationTimestamp"]), whole)


def proves_absence(kind: Kind, born: str) -> bool:
    """Whether a 404 that came before `kind` was read means that the SipGateway of a ConfigMap of `born` is gone.

    Moments have whole seconds, so a ConfigMap of the CRD's own second is not believed to be younger.
    """
    return kind.whole and kind.born < born
