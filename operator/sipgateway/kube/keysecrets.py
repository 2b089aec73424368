"""The Secret with a fleet's keys: found by name, labelled again, or made when there never was one.

In: a fleet whose keys our watch does not know. Out: the world knows them, or why there are none.
"""

from __future__ import annotations

import base64
import secrets

from sipgateway.api.names import FIELD_MANAGER, LABEL_KEYS
from sipgateway.cluster.client import ApiError, Obj
from sipgateway.kube.decide import keys_missing
from sipgateway.kube.records import FleetId, keys_record
from sipgateway.kube.world import World
from sipgateway.kube.writes import Writes
from sipgateway.render.keys import FleetKeys, secret_name


async def seek_keys(writes: Writes, world: World, fleet: FleetId) -> None:
    """Asks by name for the keys of a fleet: their label may have been lost. Or makes them.

    Raises:
        ApiError: that cannot be done now.
    """
    path = f"/api/v1/namespaces/{fleet.namespace}/secrets"
    name = secret_name(fleet.switch)
    try:
        found = await writes.api.get(f"{path}/{name}")
    except ApiError as error:
        if not (error.not_found and error.is_status):
            raise
        if world.has_config_maps(fleet):
            world.no_keys(fleet, keys_missing(fleet))
            return
        found = await writes.create("Secret", path, secret_object(fleet, FleetKeys.generate(secrets.token_bytes)))
    if keys_record(found) is None:
        meta = {"labels": {LABEL_KEYS: fleet.switch}, "resourceVersion": found["metadata"]["resourceVersion"]}
        found = await writes.patch("Secret", f"{path}/{name}", {"metadata": meta})
    world.take_keys(found)


def secret_object(fleet: FleetId, keys: FleetKeys) -> Obj:
    """The Secret that holds a fleet's keys."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": secret_name(fleet.switch),
            "labels": {LABEL_KEYS: fleet.switch, "app.kubernetes.io/managed-by": FIELD_MANAGER},
        },
        "data": {name: base64.b64encode(value).decode() for name, value in keys.to_data().items()},
    }
