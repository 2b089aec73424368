"""Who owns a gateway name: of two SipGateways with the same name on the same switch, the oldest (facts 11, 12).

In: SipGateways. Out: which of them lost, and to whom. A pure function of its input, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

from sipgateway.api.codes import objects as codes
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding


def fleet_of(gateway: SipGateway) -> tuple[str, str]:
    """The fleet that loads a SipGateway: its namespace and `spec.switch`."""
    return gateway.namespace, gateway.spec.switch


def losers(
    gateways: Iterable[SipGateway],
    *,
    fleet: Callable[[SipGateway], Hashable] = fleet_of,
    holds: Callable[[SipGateway], bool] = lambda _: False,
) -> Mapping[tuple[str, str], SipGateway]:
    """Names are global to a switch, whatever the profile or section (fact 11): one SipGateway has each.

    The oldest `created` wins; of equal or unknown times the one that has the name now, else the first by namespace and
    name. A suspended one does not compete: its name is free for another. Names are case-sensitive (fact 32).

    Args:
        gateways: the SipGateways that may be loaded; leave out those that are refused on their own account.
        fleet: what shares one name space. A switch of its own that loads everything has one for all.
        holds: whether a SipGateway has its name now.

    Returns:
        (namespace, name) of each that lost -> the one that has the gateway name.
    """
    competing = [gateway for gateway in gateways if not gateway.spec.suspend]
    if len({gateway.gateway_name for gateway in competing}) == len(competing):
        return {}
    owners: dict[tuple[Hashable, str], SipGateway] = {}
    lost: dict[tuple[str, str], SipGateway] = {}
    for gateway in sorted(competing, key=lambda g: (g.created, not holds(g), g.namespace, g.name)):
        owner = owners.setdefault((fleet(gateway), gateway.gateway_name), gateway)
        if owner is not gateway:
            lost[gateway.namespace, gateway.name] = owner
    return lost


def lost_to(gateway: SipGateway, winner: SipGateway) -> Finding:
    """What to say on a SipGateway that lost its name."""
    field = "metadata.name" if gateway.spec.gateway_name is None else "spec.gatewayName"
    why = "which has it" if gateway.created == winner.created else "which is older"
    return codes.GATEWAY_NAME_TAKEN.finding(
        field,
        f"the gateway name {gateway.gateway_name} on switch {gateway.spec.switch} belongs to SipGateway "
        f"{winner.namespace}/{winner.name}, {why}; a second one would be a ghost that no command reaches (fact 11).",
        f"Choose another gatewayName, or delete or suspend {winner.namespace}/{winner.name}: this one then takes over.",
    )
