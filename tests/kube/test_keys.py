"""The keys of a fleet: made once, never made anew behind anybody's back, and what to do when they are lost."""

from __future__ import annotations

import copy

import pytest

from sipgateway.kube.keysecrets import secret_object
from sipgateway.kube.records import FleetId
from sipgateway.render.keys import FleetKeys, secret_name
from tests.kube.lab import Lab, Obj, decoded
from tests.kube.test_secrets import command_in
from tests.render.fleets import fleet_keys

UNWRITTEN = ("Programmed", "False", "ConfigMapNotWritten")


def fleet_with_one(lab: Lab) -> tuple[str, str, Obj]:
    """A fleet with one gateway: its name, the gateway's, the keys Secret as a backup has it."""
    switch, name = lab.new("fleet"), lab.new("sealed")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    found = lab.get("secrets", secret_name(switch))
    meta = found["metadata"]
    return switch, name, found | {"metadata": {"name": meta["name"], "labels": meta["labels"]}}


def lose(lab: Lab, switch: str, name: str) -> str:
    """Deletes the keys; what the status says then."""
    lab.delete(secret_name(switch), "secrets")
    message: str = lab.wait_condition(name, *UNWRITTEN)["message"]
    return message


def test_they_are_made_with_the_first_gateway_and_are_whole(lab: Lab) -> None:
    switch, _, _ = fleet_with_one(lab)
    found = lab.get("secrets", secret_name(switch))
    keys = FleetKeys.from_data(decoded(found["data"]))
    assert found["type"] == "Opaque"
    assert found["metadata"]["labels"]["sipgateway.dev/keys"] == switch
    assert "sipgateway.dev/credentials" not in found["metadata"]["labels"]
    assert "ownerReferences" not in found["metadata"]
    assert set(found["data"]) == {"revision", "seal-active", f"seal-{keys.active}"}


def test_each_fleet_has_its_own_and_a_second_gateway_makes_none_anew(lab: Lab) -> None:
    one, _, _ = fleet_with_one(lab)
    two, _, _ = fleet_with_one(lab)
    before = lab.get("secrets", secret_name(one))
    name = lab.new("second")
    lab.apply(name, switch=one)
    lab.wait_config_map(name)
    assert lab.get("secrets", secret_name(one)) == before
    assert lab.keys(one).revision.key != lab.keys(two).revision.key
    assert not set(lab.keys(one).ids) & set(lab.keys(two).ids)


def test_twenty_gateways_at_once_make_one_set_of_keys(lab: Lab) -> None:
    switch, names = lab.new("fleet"), [lab.new("burst") for _ in range(20)]
    for name in names:
        lab.apply(name, switch=switch)
    for name in names:
        lab.wait_config_map(name)
        lab.verified(name)


def test_a_gateway_that_is_refused_makes_no_keys(lab: Lab) -> None:
    switch, name = lab.new("fleet"), lab.new("refused")
    lab.apply(name, switch=switch, passwordFrom={"secretKeyRef": {"name": "none", "key": "none"}})
    lab.wait_condition(name, "Accepted", "False")
    assert lab.find("secrets", secret_name(switch)) is None


def test_lost_keys_are_told_and_not_made_anew_and_a_backup_heals_without_touching_a_gateway(lab: Lab) -> None:
    switch, name, backup = fleet_with_one(lab)
    before = lab.config_map(name)
    message = lose(lab, switch, name)
    assert f"Secret {lab.namespace}/{secret_name(switch)} is gone" in message
    assert f"with its label sipgateway.dev/keys={switch}" in message
    second = lab.new("second")
    lab.apply(second, switch=switch)
    lab.wait_condition(second, *UNWRITTEN)
    assert lab.find("secrets", secret_name(switch)) is None
    lab.plane.api.create(lab.path("secrets"), backup)
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    lab.wait_config_map(second)
    assert lab.config_map(name) == before


def test_starting_over_is_the_command_in_the_message(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    second = lab.new("second")
    lab.apply(second, switch=switch)
    lab.wait_config_map(second)
    old = lab.keys(switch)
    message = lose(lab, switch, name)
    lab.plane.kubectl(*command_in(message))
    for one in (name, second):
        lab.wait_condition(one, "Programmed", "Unknown", "NoSwitchPods")
        assert lab.verified(one).name == one
    assert lab.keys(switch).revision.key_id != old.revision.key_id


def test_keys_that_lost_their_label_are_found_by_name_and_get_it_back(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    before, keys = lab.config_map(name), lab.keys(switch)
    lab.plane.kubectl("-n", lab.namespace, "label", "secret", secret_name(switch), "sipgateway.dev/keys-")
    lab.wait(
        lambda: lab.get("secrets", secret_name(switch))["metadata"]["labels"].get("sipgateway.dev/keys") == switch,
        lambda: "the label did not come back",
    )
    lab.edit(name, proxy="sip.example.net")
    lab.wait_config_map(name, lambda found: found != before)
    assert lab.keys(switch).revision.key == keys.revision.key
    lab.verified(name)


@pytest.mark.parametrize("entry", ["revision", "seal-active", "the seal key"])
def test_a_damaged_secret_stops_writes_and_says_which_entry_never_a_value(lab: Lab, entry: str) -> None:
    switch, name, backup = fleet_with_one(lab)
    before = lab.config_map(name)
    damaged = copy.deepcopy(backup)
    entry = f"seal-{lab.keys(switch).active}" if entry == "the seal key" else entry
    del damaged["data"][entry]
    path = lab.path("secrets", secret_name(switch))
    lab.plane.api.replace(path, damaged)
    condition = lab.wait_condition(name, *UNWRITTEN)
    assert entry in condition["message"]
    for value in backup["data"].values():
        assert value not in condition["message"]
    lab.edit(name, proxy="sip.example.net")
    lab.wait_condition(name, *UNWRITTEN)
    assert lab.config_map(name) == before
    lab.plane.api.replace(path, backup)
    lab.wait_config_map(name, lambda found: found != before)
    lab.verified(name)


def test_other_keys_in_their_place_are_not_taken(lab: Lab) -> None:
    """Somebody restored the backup of another fleet, or made keys of his own: every gateway would be replaced."""
    switch, name, backup = fleet_with_one(lab)
    before, true = lab.config_map(name), lab.keys(switch)
    lab.operator.stop()
    lab.delete(secret_name(switch), "secrets")
    other = secret_object(FleetId(lab.namespace, switch), fleet_keys("other"))
    lab.plane.api.create(lab.path("secrets"), other)
    lab.operator.start()
    condition = lab.wait_condition(name, *UNWRITTEN)
    assert f"holds revision key {fleet_keys('other').revision.key_id}" in condition["message"]
    assert f"were made with {true.revision.key_id}" in condition["message"]
    assert lab.config_map(name) == before
    lab.plane.api.replace(lab.path("secrets", secret_name(switch)), backup)
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    assert lab.config_map(name) == before
    # And while the operator runs.
    lab.plane.api.replace(lab.path("secrets", secret_name(switch)), other)
    condition = lab.wait_condition(name, *UNWRITTEN)
    lab.plane.kubectl(*command_in(condition["message"]))  # start over: with the keys that are there
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    lab.verify(lab.wait_config_map(name), fleet_keys("other"))


def test_a_new_active_seal_key_seals_everything_anew_and_touches_no_gateway(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    held, secret = lab.new("held"), lab.new("secret")
    lab.secret(secret, password="only the seal has it")
    lab.apply(held, switch=switch, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    lab.wait_config_map(held)
    lab.delete(secret, "secrets")
    lab.wait_condition(held, "Programmed", "False", "HeldLastGood")
    before = {one: lab.verified(one) for one in (name, held)}
    keys = lab.keys(switch)
    announced = keys.with_new_seal(lambda size: bytes(range(size)))
    assert announced.following is not None
    rotated = announced.activated(announced.following)
    data = secret_object(FleetId(lab.namespace, switch), rotated)["data"]
    lab.plane.api.patch(lab.path("secrets", secret_name(switch)), {"data": data})
    for one in (name, held):
        sealed = f'sealed="{announced.following}:'
        lab.wait_config_map(one, lambda found: sealed in found["data"]["gateway.xml"])  # noqa: B023
        after = lab.verified(one)
        assert after.revision == before[one].revision
        assert after.file == before[one].file
    lab.wait_condition(held, "Programmed", "False", "HeldLastGood")
