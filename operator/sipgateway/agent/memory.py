"""What an agent must still know after a restart without an API server: which gateway came of which ConfigMap.

In: claims. Out: a small file without secrets in our own folder, and claims made of it and of the gateway files that
stand on the disk: those hold what was last wanted, and are read as they are.

The file is written now and then; what must be known before a gateway's file may be written stands in a log beside it.
A gateway of which nobody knows whose it is could never be removed: there would be nobody to ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipgateway.agent.desired import Claim
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.refusal import good_of
from sipgateway.errors import StorageError

_STATE = "fleet"


@dataclass(frozen=True, slots=True)
class Record:
    """Where a gateway came from, and where its file stands."""

    config_map: str
    born: str
    profile: str
    path: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What was kept.

    Attributes:
        key_id: id of the fleet's revision key; empty when it was never known.
        records: by gateway name.
        gone: gateway names that were to go.
    """

    key_id: str = ""
    records: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))
    gone: frozenset[str] = frozenset()


def keep(
    folder: ConfFolder, key_id: str, claims: Iterable[Claim], gone: Iterable[str], before: object = None
) -> object:
    """Writes it down.

    Args:
        folder: where.
        key_id: id of the fleet's revision key.
        claims: what is wanted.
        gone: gateway names that are to go.
        before: what the call before this one returned: the same is not written again.

    Raises:
        StorageError: it cannot be written; what was kept before is whole.
    """
    state = {"key": key_id, "gateways": {c.name: _entry(c) for c in claims}, "gone": sorted(gone)}
    if state != before:
        folder.write_state(_STATE, state)
        folder.drop_appended(_STATE)
    return state


def note(folder: ConfFolder, claims: Iterable[Claim], gone: Iterable[str]) -> None:
    """Writes down what is new since `keep`: these claims, and these names that are to go.

    Raises:
        StorageError: it cannot be written.
    """
    folder.append_state(_STATE, [*([c.name, *_entry(c)] for c in claims), *([name] for name in gone)])


def recall(folder: ConfFolder) -> Memory:
    """What was kept; nothing when there is nothing that can be read."""
    state = folder.read_state(_STATE)
    state = state if isinstance(state, Mapping) else {}
    key_id, gateways, gone = state.get("key"), state.get("gateways"), state.get("gone")
    records: dict[str, Record] = {}
    for name, entry in gateways.items() if isinstance(gateways, Mapping) else ():
        match entry:
            case [str(config_map), str(born), str(profile), str(path)]:
                records[name] = Record(config_map, born, profile, path)
            case _:
                continue  # another version wrote this: what is loaded of it stays
    over = {n for n in gone if isinstance(n, str)} if isinstance(gone, list) else set()
    for line in folder.appended_state(_STATE):
        match line:
            case [str(name), str(config_map), str(born), str(profile), str(path)]:
                records[name] = Record(config_map, born, profile, path)
                over.discard(name)
            case [str(name)]:
                records.pop(name, None)
                over.add(name)
    return Memory(key_id if isinstance(key_id, str) else "", MappingProxyType(records), frozenset(over))


def _entry(claim: Claim) -> list[str]:
    return [claim.config_map, claim.since, claim.wanted.profile, claim.wanted.path]


def claims(folder: ConfFolder, records: Mapping[str, Record]) -> list[Claim]:
    """The claims of these records, of the files that stand there; without its file there is none."""
    if not records:
        return []
    try:
        files = folder.read_all()
    except StorageError:
        return []
    found: list[Claim] = []
    for name, record in records.items():
        data = files.get(record.path)
        good = None if data is None else good_of(name, record.path, data, record.profile)
        if good is not None:
            found.append(Claim(record.config_map, record.born, good.wanted, good.data))
    return found
