"""What a status is judged by: the version that is on the switches, until the new one is."""

from __future__ import annotations

import secrets
from typing import Any

from sipgateway.api.names import API_VERSION, KIND
from sipgateway.kube.decide import Action, body_digest, decide, keys_missing
from sipgateway.kube.keysecrets import secret_object
from sipgateway.kube.records import FleetId, Key, secret_record
from sipgateway.kube.statuses import gateway_view, judged_by
from sipgateway.kube.world import World
from sipgateway.render.keys import FleetKeys
from tests.kube.objects import secret, sipgateway

KEY = Key("voice", "acme")


def world_with_keys(*switches: str) -> World:
    world = World(lambda _key, _content: None)
    for number, switch in enumerate(switches):
        keys = secret_object(FleetId("voice", switch), FleetKeys.generate(secrets.token_bytes))
        keys["metadata"] |= {"namespace": "voice", "uid": f"keys-{switch}", "resourceVersion": str(number + 1)}
        world.take_keys(keys)
    return world


def publish(world: World, version: int, **spec: Any) -> None:
    """A SipGateway, decided on, and its ConfigMap as the API server would store it."""
    world.take_gateway(sipgateway("acme", version=version, generation=version, **spec))
    decision = decide(world, KEY)
    assert decision.action is Action.WRITE
    assert decision.body is not None
    record = world.gateways[KEY]
    world.take_config_map(
        {
            "metadata": {
                "name": decision.body.name,
                "namespace": "voice",
                "uid": "uid-of-map",
                "resourceVersion": str(version + 1),
                "labels": dict(decision.body.labels),
                "ownerReferences": [
                    {"apiVersion": API_VERSION, "kind": KIND, "name": "acme", "controller": True, "uid": record.uid}
                ],
            },
            "data": dict(decision.body.data),
        }
    )
    assert world.config_maps[KEY].digest == body_digest(decision.body, record.uid)
    assert decide(world, KEY).action is Action.NOTHING


def test_a_held_version_that_does_not_register_is_not_called_registered() -> None:
    world = world_with_keys("default")
    publish(world, 10)
    world.take_gateway(sipgateway("acme", version=20, generation=20, register=True))
    decide(world, KEY)
    view = gateway_view(world, world.gateways[KEY])
    assert view is not None
    assert view.held
    assert not view.registers


def test_a_refused_move_is_judged_by_the_fleet_that_has_the_version() -> None:
    world = world_with_keys("default", "other")
    publish(world, 10)
    world.take_gateway(sipgateway("acme", version=20, generation=20, register=True, switch="other"))
    decide(world, KEY)
    assert judged_by(world, world.gateways[KEY]) == FleetId("voice", "default")


def test_a_rename_that_is_not_written_yet_is_judged_under_the_name_that_is_loaded() -> None:
    world = world_with_keys("default")
    publish(world, 10)
    world.take_gateway(sipgateway("acme", version=20, generation=20, gatewayName="renamed"))
    assert decide(world, KEY).action is Action.WRITE
    view = gateway_view(world, world.gateways[KEY])
    assert view is not None
    assert view.gateway_name == "acme"
    assert view.writing


def test_somebody_elses_config_map_is_no_earlier_version() -> None:
    world = world_with_keys("default")
    publish(world, 10)
    world.disown(KEY, "uid-of-map")
    world.take_gateway(sipgateway("acme", version=20, generation=20, register=True))
    decide(world, KEY)
    view = gateway_view(world, world.gateways[KEY])
    assert view is not None
    assert not view.held
    assert view.config_version is None


def test_a_suspended_sipgateway_is_still_looked_at() -> None:
    world = world_with_keys("default")
    source = {"secretKeyRef": {"name": "nowhere", "key": "password"}}
    world.take_gateway(sipgateway("acme", version=10, suspend=True, register=True, username="u", passwordFrom=source))
    decide(world, KEY)
    view = gateway_view(world, world.gateways[KEY])
    assert view is not None
    assert [one.code for one in view.refusals] == ["SecretMissing"]
    assert view.suspended


def test_of_a_huge_secret_only_what_can_be_a_credential_is_kept() -> None:
    record = secret_record(secret("huge", {"password": b"p4ss", "blob": b"x" * 900_000, "other": b"y" * 5000}))
    assert record.view.data["password"] == b"p4ss"
    assert sum(map(len, record.view.data.values())) <= 65536


def test_a_user_name_longer_than_any_is_refused() -> None:
    world = world_with_keys("default")
    world.take_secret(secret("acme", {"user": b"u" * 300}))
    source = {"secretKeyRef": {"name": "acme", "key": "user"}}
    world.take_gateway(sipgateway("acme", version=10, usernameFrom=source))
    decide(world, KEY)
    verdict = world.gateways[KEY].verdict
    assert verdict is not None
    assert [one.code for one in verdict.refusals] == ["SipUserInvalid"]


def test_keys_whose_label_is_changed_are_not_used_any_more() -> None:
    world = world_with_keys("default")
    fleet = FleetId("voice", "default")
    found = secret_object(fleet, FleetKeys.generate(secrets.token_bytes))
    found["metadata"] |= {"namespace": "voice", "uid": "keys-default", "resourceVersion": "99"}
    found["metadata"]["labels"]["sipgateway.dev/keys"] = "another"
    world.take_keys(found)
    assert fleet not in world.keys


def test_one_of_a_fleet_looks_for_keys_that_are_missing() -> None:
    world = World(lambda _key, _content: None)
    for name in ("acme", "beta", "gamma"):
        world.take_gateway(sipgateway(name, version=10))
    assert decide(world, KEY).action is Action.SEEK_KEYS
    verdict_of = decide(world, Key("voice", "beta"))
    assert verdict_of.action is Action.SEEK_KEYS

    world.no_keys(FleetId("voice", "default"), keys_missing(FleetId("voice", "default")), KEY)
    actions = [decide(world, Key("voice", name)).action for name in ("acme", "beta", "gamma")]
    assert actions == [Action.SEEK_KEYS, Action.NOTHING, Action.NOTHING]
    world.drop_gateway(KEY, world.gateways[KEY].uid)
    assert decide(world, Key("voice", "gamma")).action is Action.SEEK_KEYS
