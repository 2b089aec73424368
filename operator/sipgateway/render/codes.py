"""Every code of this room's errors: what cannot be written into a file that FreeSWITCH reads.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (conditions, lint output, CI filters): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

NOT_CARRIED_BY_XML = Code(
    "NotCarriedByXml",
    "A text holds a character that no XML document can hold: NUL, most control characters, a lone surrogate, "
    "U+FFFE or U+FFFF.",
    "Not even a character reference can stand for it, so FreeSWITCH could never read it.",
    "Remove the character.",
)
RENDER_NOT_PROVED = Code(
    "RenderNotProved",
    "The rendered file, run through the model of FreeSWITCH's reader, does not give back what went in.",
    "Loading it would make a gateway other than the one declared, so it never reaches a switch.",
    "This is a defect: report it with the manifest, without its secrets.",
)
UNSAFE_PATH = Code(
    "UnsafePath",
    "A name cannot be part of a file's path.",
    "The file would stand outside its folder, or where no include of the switch finds it.",
    "Correct the name or the layout's template.",
)

# ConfigMaps, seals and keys.

FLEET_KEYS_BROKEN = Code(
    "FleetKeysBroken",
    "The Secret of a fleet's keys lacks an entry, or holds one that is no key.",
    "Without the keys nothing can be sealed, proved or told from somebody else's gateways; new ones would replace "
    "every gateway of the fleet, so none are made.",
    "Restore the Secret from a backup. Without one, docs/security.md says how to start over.",
)
CONFIG_MAP_TOO_LARGE = Code(
    "ConfigMapTooLarge",
    "The gateway's XML is larger than a ConfigMap can be.",
    "The API server takes at most 1 MiB of data in one.",
    "Use fewer or shorter variables.",
)
CONFIG_MAP_FORGED = Code(
    "ConfigMapForged",
    "A ConfigMap's MAC is not the one that the fleet's key gives for its name, fleet, target and XML.",
    "Somebody edited it, copied it from elsewhere, or the fleet's keys are not those that it was written with. The "
    "switch keeps what it has.",
    "The operator writes it anew within a second. If it does not, see whether it runs, and look for who edits "
    "ConfigMaps.",
)
CONFIG_MAP_MALFORMED = Code(
    "ConfigMapMalformed",
    "A ConfigMap does not hold what this version writes into one.",
    "A newer version may have written it, or somebody edited it. The switch keeps what it has.",
    "Update the agent to the operator's version. If they are the same, report it as a defect.",
)
SEAL_BROKEN = Code(
    "SealBroken",
    "A sealed value does not open at the place where it stands.",
    "A seal holds for one parameter of one gateway in one ConfigMap of one fleet; elsewhere, or edited, it does not "
    "open.",
    "The operator writes the ConfigMap anew within a second. If it does not, see whether it runs.",
)
SEAL_KEY_UNKNOWN = Code(
    "SealKeyUnknown",
    "A value is sealed with a key that the fleet's Secret does not hold, or that this agent has not read yet.",
    "Without the key nobody can open it. The switch keeps what it has.",
    "Wait some seconds for the agent to read the Secret. If it stays, the key was removed too early: the operator "
    "seals the value anew.",
)
