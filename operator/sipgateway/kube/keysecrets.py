"""The Secret with a fleet's keys: found by name, labelled again, or made when there never was one.

In: a fleet whose keys our watch does not know. Out: the world knows them, or why there are none.
"""

from __future__ import annotations

import base64
import secrets

from sipgateway.api.names import FIELD_MANAGER, LABEL_KEYS
from sipgateway.cluster.client import ApiError, Obj
from sipgateway.errors import Finding
from sipgateway.kube import codes
from sipgateway.kube.decide import keys_missing
from sipgateway.kube.records import FleetId, Key, decoded, keys_record
from sipgateway.kube.world import World
from sipgateway.kube.writes import Writes
from sipgateway.render.keys import FleetKeys, KeysError, secret_name

#: Fleets of one namespace that keys are made for: who may write `spec.switch` shall not make Secrets without end.
_FLEETS = 64


async def seek_keys(writes: Writes, world: World, fleet: FleetId, seeker: Key) -> Finding | None:
    """Asks by name for the keys of a fleet: their label may have been lost. Or makes them.

    Args:
        writes: to the API server.
        world: is told.
        fleet: whose.
        seeker: the SipGateway that asks, and will ask again.

    Returns:
        Why there are none; None when there are.

    Raises:
        ApiError: that cannot be done now.
    """

    def without(finding: Finding) -> Finding:
        world.no_keys(fleet, finding, seeker)
        return finding

    path = f"/api/v1/namespaces/{fleet.namespace}/secrets"
    name = secret_name(fleet.switch)
    try:
        found = await writes.api.get(f"{path}/{name}")
    except ApiError as error:
        if not (error.not_found and error.is_status):
            raise
        known = world.keys.get(fleet)
        if known is not None and known.uid:
            return None  # another look was faster, and has made them since
        if world.has_config_maps(fleet):
            return without(keys_missing(fleet))
        if world.fleets_with_keys(fleet.namespace) >= _FLEETS:
            what = f"Namespace {fleet.namespace} has {_FLEETS} fleets with keys already."
            return without(codes.TOO_MANY_FLEETS.because("spec.switch", what))
        found = await writes.create("Secret", path, secret_object(fleet, FleetKeys.generate(secrets.token_bytes)))
    if keys_record(found) is None:
        try:
            FleetKeys.from_data(decoded(found.get("data")))
        except KeysError:
            what = f"Secret {fleet.namespace}/{name} was not made by sipgateway."
            return without(codes.FLEET_KEYS_FOREIGN.because("spec.switch", what))
        meta = {"labels": {LABEL_KEYS: fleet.switch}, "resourceVersion": found["metadata"]["resourceVersion"]}
        found = await writes.patch("Secret", f"{path}/{name}", {"metadata": meta})
    world.take_keys_answer(found)
    return None


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
