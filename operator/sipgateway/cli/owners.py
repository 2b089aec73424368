"""Which SipGateway each gateway name came from, kept beside the files that were made of it, across restarts.

Without it a new process would not know what a manifest that is broken now was good for, nor who of two has a name.
In: owners by gateway name. Out: the same, after a restart. No secrets.
"""

from __future__ import annotations

from collections.abc import Mapping

from sipgateway.agent.files import ConfFolder

_STATE = "owners"

#: Gateway name -> (namespace, name) of the SipGateway.
Owners = Mapping[str, tuple[str, str]]


def read_owners(folder: ConfFolder) -> dict[str, tuple[str, str]]:
    """What was kept; nothing when there is nothing that can be read."""
    state = folder.read_state(_STATE)
    found: dict[str, tuple[str, str]] = {}
    for name, owner in state.items() if isinstance(state, dict) else ():
        match owner:
            case [str(namespace), str(object_name)]:
                found[name] = (namespace, object_name)
            case _:
                continue
    return found


def write_owners(folder: ConfFolder, owners: Owners) -> None:
    """Keeps them.

    Raises:
        StorageError: they cannot be written; what was kept before is whole.
    """
    folder.write_state(_STATE, {name: list(owner) for name, owner in owners.items()})
