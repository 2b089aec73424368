"""Names that are part of the contract: group, kinds, labels, variables, reserved words."""

from __future__ import annotations

import re

GROUP = "sipgateway.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "SipGateway"
PLURAL = "sipgateways"
SINGULAR = "sipgateway"
SHORT_NAMES = ("sipgw", "sgw")
SWITCH_KIND = "SipSwitch"
SWITCH_PLURAL = "sipswitches"
SWITCH_SINGULAR = "sipswitch"
SWITCH_SHORT_NAMES = ("sipsw", "ssw")
#: `kubectl get telephony` lists them; `all` is left to workloads.
CATEGORIES = ("telephony",)

LABEL_SWITCH = f"{GROUP}/switch"
LABEL_CREDENTIALS = f"{GROUP}/credentials"
LABEL_KEYS = f"{GROUP}/keys"
#: Beside LABEL_SWITCH on each of our ConfigMaps: both together are what the admission policy protects.
LABEL_NAME = "app.kubernetes.io/name"
LABEL_NAME_VALUE = "sipgateway"

#: On a SipGateway that was applied from git: the commit, and the manifest's path in it.
ANNOTATION_COMMIT = f"{GROUP}/commit"
ANNOTATION_PATH = f"{GROUP}/path"
#: On what `sipgw sync` applied: the environment. Nothing else is ever pruned.
LABEL_SYNC = f"{GROUP}/environment"
#: Whose fields those are.
SYNC_MANAGER = "sipgateway-sync"

#: Whose fields our objects' are, in `managedFields`.
FIELD_MANAGER = "sipgateway-operator"
#: The names of the objects that the operator makes begin with it.
OBJECT_PREFIX = "sipgateway-"

#: Name of the agent's container in a switch pod.
AGENT_CONTAINER = "sipgateway-agent"

DEFAULT_SWITCH = "default"
DEFAULT_PROFILE = "external"

#: Channel variable that carries the revision; reading it back proves what is loaded (design.md, "Rendering").
REVISION_VARIABLE = "sipgw_revision"

#: Load as gateway names, but `killgw`/`register` of them act on every gateway (fact 32). Compared in lower case.
RESERVED_GATEWAY_NAMES = frozenset({"all", "_all_"})

#: A name of 256 bytes never leaves TRYING, 255 works (fact 32).
MAX_GATEWAY_NAME = 255

#: mod_sofia drops any other name with `+OK` (fact 11). ASCII: its PCRE runs without UTF.
GATEWAY_NAME = re.compile(r"[A-Za-z0-9_.\-]+", re.ASCII)

#: Profile names that can stand in an ESL command and in a file's path.
PROFILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", re.ASCII)


def is_gateway_name(name: str) -> bool:
    """Whether mod_sofia loads a gateway of this name and commands on it reach it alone (facts 11, 32)."""
    return (
        GATEWAY_NAME.fullmatch(name) is not None
        and len(name) <= MAX_GATEWAY_NAME
        and name.lower() not in RESERVED_GATEWAY_NAMES
    )
