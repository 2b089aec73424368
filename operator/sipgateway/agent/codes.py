"""Codes of this room's errors about the fleet's ConfigMaps and keys, as `sipgw agent` reports them.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (logs, SipSwitch): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code
from sipgateway.errors import Severity

FLEET_KEYS_NOT_READ = Code(
    "FleetKeysNotRead",
    "The agent does not have the keys of its fleet.",
    "Without them no ConfigMap can be verified, so nothing new reaches the switch; it keeps what it has.",
    "Look for the Secret sipgateway-SWITCH-keys: the operator makes it for the first SipGateway of a fleet, or says "
    "why not (docs/security.md). The agent reads it as soon as it is there.",
)
CONFIG_MAP_UNREADABLE = Code(
    "ConfigMapUnreadable",
    "The agent failed over what stands in a ConfigMap.",
    "It is refused; all others are taken, and the switch keeps what it has.",
    "See the agent's log and report it; the operator writes the ConfigMap anew when it is deleted.",
)
SWITCH_NOT_ASKED = Code(
    "SwitchNotAsked",
    "The agent has just started and has not asked its switch yet.",
    "What the switch has is not known.",
    "Wait: it goes on by itself.",
)
DEFAULT_PASSWORD = Code(
    "DefaultPassword",
    "The event socket has FreeSWITCH's default password.",
    "Whoever reaches the socket can do anything to the switch.",
    "Change it in event_socket.conf.xml and in the file that `--esl-password-file` names (the Secret of the pod).",
    Severity.WARNING,
)
REPORT_TOO_LARGE = Code(
    "ReportTooLarge",
    "More gateways are not as they should be than one SipSwitch can name.",
    "Names are never left out silently: as long as it is so, the pod counts as not reached, and all its gateways are "
    "Unknown instead of some of them well by mistake. The switch is kept as always.",
    "The agent's log and metrics say what is wrong; mend the cause that most of them share. Shorter gateway names "
    "make room: 10,000 names of 128 characters fit.",
)
