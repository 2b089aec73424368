"""Every code of this room's errors: what the API server, or the objects in it, can do to us.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (conditions, Events, exit codes): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

CONFIG_MAP_FOREIGN = Code(
    "ConfigMapForeign",
    "A ConfigMap of the name that this gateway needs exists, and sipgateway did not make it.",
    "It is never overwritten: whoever made it may need it.",
    "Delete or rename that ConfigMap; the gateway follows by itself.",
)
FLEET_KEYS_MISSING = Code(
    "FleetKeysMissing",
    "The Secret with the fleet's keys is gone, while ConfigMaps that were made with it exist.",
    "New keys are never made silently: every switch would replace every gateway.",
    "Restore the Secret from a backup; or start over: delete the fleet's ConfigMaps, and new keys are made.",
)
FLEET_KEYS_FOREIGN = Code(
    "FleetKeysForeign",
    "A Secret of the name that the fleet's keys need exists, and sipgateway did not make it.",
    "It is neither used nor changed: whoever made it may need it.",
    "Choose another spec.switch, or delete or rename that Secret; the gateway follows by itself.",
)
TOO_MANY_FLEETS = Code(
    "TooManyFleets",
    "There are more fleets in the namespace than sipgateway makes keys for.",
    "Each fleet has a Secret with keys of its own; who may write `spec.switch` shall not make Secrets without end.",
    "Correct spec.switch, or delete the sipgateway-*-keys Secrets of fleets that are no more.",
)
FLEET_KEYS_REPLACED = Code(
    "FleetKeysReplaced",
    "The Secret with the fleet's keys holds other keys than those that its ConfigMaps were made with.",
    "With another revision key every gateway has another revision; those that run would be taken for somebody else's.",
    "Restore the Secret from a backup; or start over: delete the fleet's ConfigMaps, and these keys are taken.",
)
NO_FLEET_KEYS = Code(
    "NoFleetKeys",
    "The fleet has no keys.",
    "The operator makes them with the first gateway that it accepts.",
    "Check namespace and switch: `--namespace`, `--switch`.",
)
NO_SUCH_GATEWAY = Code(
    "NoSuchGateway",
    "The SipGateway that a command was asked about is not there.",
    "Nothing can be said of it.",
    "Check its name and `--namespace`; `sipgw status` lists all.",
)
API_REFUSED = Code(
    "ApiRefused",
    "The API server refuses what a command asks of it, or does not answer.",
    "Nothing was changed by that; what was done before stays.",
    "See the API server's words in the message, then call the command again.",
)
WRITE_REFUSED = Code(
    "WriteRefused",
    "The API server refuses a write of sipgateway.",
    "A quota, an admission policy or missing permissions are in the way; the last good version stays on the switches.",
    "See the API server's words in the message. It is tried again by itself.",
)
LEASE_FORBIDDEN = Code(
    "LeaseForbidden",
    "The Lease for leader election may not be used.",
    "Without it two replicas could act at once.",
    "Apply the shipped Role in the namespace of the Lease, or name another one: `--lease-namespace`.",
)
