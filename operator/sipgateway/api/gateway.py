"""The effective gateway: what the switch shall load, with secret values filled in. Input of the renderer."""

from __future__ import annotations

from dataclasses import dataclass, field

from sipgateway.api.spec import DirectoryUser, Subscription, Variable


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `<param>`: XML name and text. A secret value never shows in `repr`."""

    name: str
    value: str = field(repr=False)
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a gateway stands in the switch's configuration.

    Attributes:
        profile: Sofia profile that loads it and is rescanned, for both sections.
        directory: given, it stands in the directory section under this user (fact 25).
    """

    profile: str
    directory: DirectoryUser | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway ready to render. Parameters are in the table's order, extra ones after them."""

    name: str
    target: Target
    parameters: tuple[Parameter, ...]
    variables: tuple[Variable, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()

    def get(self, name: str) -> str | None:
        """Value of the parameter of this XML name, None when not set."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter.value
        return None

    @property
    def registers(self) -> bool:
        """Whether the gateway REGISTERs: `register` is true by default."""
        return self.get("register") != "false"
