"""What a SipGateway is, as frozen values: parsed, but not yet judged (see accept.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from sipgateway.api.names import DEFAULT_PROFILE, DEFAULT_SWITCH

Direction = Literal["inbound", "outbound"]
ParamValue = str | int | bool
Placement = Literal["All"]

#: Words of `spec.placement`: every pod of the fleet loads every gateway. A word for "one pod of them" is to come.
PLACEMENTS: Final[tuple[Placement, ...]] = ("All",)


@dataclass(frozen=True, slots=True)
class SecretKeyRef:
    """One key of a Secret in the SipGateway's own namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user of the directory section: the gateway is loaded by profiles that parse `domain` (fact 25)."""

    domain: str
    user: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A channel variable; `direction` None sets it on both legs (fact 26)."""

    name: str
    value: str
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A SUBSCRIBE that the gateway keeps up; None leaves mod_sofia's default. Times are seconds."""

    event: str
    expire_seconds: int | None = None
    retry_seconds: int | None = None
    content_type: str | None = None
    username_in_request: bool | None = None


@dataclass(frozen=True, slots=True)
class ExtraParam:
    """A parameter outside the table, for modified switches: its XML name and value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Spec:
    """`spec` of a SipGateway.

    Attributes:
        params: values of the parameter table that were given, by field name (`expireSeconds`). Never the password.
    """

    switch: str = DEFAULT_SWITCH
    profile: str = DEFAULT_PROFILE
    gateway_name: str | None = None
    placement: Placement = "All"
    directory: DirectoryUser | None = None
    suspend: bool = False
    params: Mapping[str, ParamValue] = field(default_factory=lambda: MappingProxyType({}))
    username_from: SecretKeyRef | None = None
    password_from: SecretKeyRef | None = None
    variables: tuple[Variable, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    extra_params: tuple[ExtraParam, ...] = ()


@dataclass(frozen=True, slots=True)
class SipGateway:
    """A SipGateway object: identity and spec.

    Attributes:
        created: `metadata.creationTimestamp`, RFC 3339 text, empty when unknown; sorts as text.
    """

    namespace: str
    name: str
    spec: Spec
    uid: str = ""
    generation: int = 0
    created: str = ""

    @property
    def gateway_name(self) -> str:
        """The name on the switch: `spec.gatewayName`, else `metadata.name`."""
        return self.name if self.spec.gateway_name is None else self.spec.gateway_name
