"""What an apply makes of ConfigMaps: exactly one for each SipGateway, and what becomes of it with every change."""

from __future__ import annotations

import copy
import re
from functools import partial

import yaml

from sipgateway.api.spec import DirectoryUser
from sipgateway.kube.keysecrets import secret_object
from sipgateway.kube.records import FleetId
from tests.golden import Golden
from tests.kube.lab import API, PASSWORD, Lab, Obj, carried, gateway
from tests.render.fleets import fleet_keys, signed


def masked(found: Obj) -> str:
    """A ConfigMap as text, without what differs from run to run."""
    shown = copy.deepcopy(found)
    meta = shown["metadata"]
    for name in ("creationTimestamp", "managedFields", "namespace", "resourceVersion", "uid"):
        del meta[name]
    for owner in meta["ownerReferences"]:
        owner["uid"] = "UID"
    data = shown["data"]
    data["mac"] = re.sub(r"[0-9a-f]{64}$", "MAC", data["mac"])
    data["gateway.xml"] = re.sub(r':[A-Za-z0-9+/=]{20,}"', ':SEALED"', data["gateway.xml"])
    return yaml.safe_dump(shown, sort_keys=True, width=1000)


def is_owned_by(uid: str, found: Obj) -> bool:
    return [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [uid]


def test_an_apply_gives_exactly_this_config_map(lab: Lab, golden: Golden) -> None:
    switch = "golden"
    lab.plane.api.create(lab.path("secrets"), secret_object(FleetId(lab.namespace, switch), fleet_keys()))
    lab.apply("golden", switch=switch, variables=[{"name": "carrier", "value": "acme & co"}])
    golden("register.out.yaml", masked(lab.wait_config_map("golden")))
    published = lab.verified("golden")
    assert {p.name: p.value for p in published.gateway.parameters}["password"] == PASSWORD


def test_what_is_written_is_listed_under_our_manager_and_nothing_else_is(lab: Lab) -> None:
    name, switch = lab.new("managed"), lab.new("fleet")
    lab.apply(name, switch=switch)
    found = lab.wait_config_map(name)
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"sipgateway-operator"}
    assert set(found["data"]) == {"gateway.xml", "target.json", "mac"}
    assert found["metadata"].get("annotations") is None


def test_a_change_is_one_write_of_the_same_object(lab: Lab) -> None:
    name, switch = lab.new("changed"), lab.new("fleet")
    lab.apply(name, switch=switch)
    before = lab.wait_config_map(name)
    with lab.plane.record(lab.path("configmaps")) as recorder:
        lab.edit(name, proxy="sip.example.net")
        after = lab.wait_config_map(name, lambda found: found["data"] != before["data"])
        lab.fence(switch)
    mine = [e for e in recorder.events() if e["object"]["metadata"]["name"] == after["metadata"]["name"]]
    assert [event["type"] for event in mine] == ["MODIFIED"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert lab.verified(name).revision != lab.verify(before).revision


def test_an_apply_of_the_same_writes_nothing(lab: Lab) -> None:
    name, switch = lab.new("same"), lab.new("fleet")
    lab.apply(name, switch=switch)
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    before = lab.wait_config_map(name)
    status = lab.get("sipgateways", name)["status"]
    lab.apply(name, switch=switch, labels={"team": "voice"})
    lab.fence(switch)
    assert lab.config_map(name) == before
    assert lab.get("sipgateways", name)["status"] == status


def test_a_deleted_sipgateway_takes_its_config_map_with_it(lab: Lab) -> None:
    name, switch = lab.new("deleted"), lab.new("fleet")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    lab.delete(name)
    lab.wait_gone(name)
    assert "ConfigMapRestored" not in [e["reason"] for e in lab.events(name)]


def test_one_that_is_deleted_and_made_again_at_once_has_a_config_map_of_its_own(lab: Lab) -> None:
    name, switch = lab.new("again"), lab.new("fleet")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    for proxy in ("one.example.com", "two.example.com", "three.example.com"):
        lab.delete(name)
        made = lab.apply(name, switch=switch, proxy=proxy)
        lab.wait_config_map(name, partial(is_owned_by, made["metadata"]["uid"]))
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    parameters = {p.name: p.value for p in lab.verified(name).gateway.parameters}
    assert parameters["proxy"] == "three.example.com"


def test_suspending_takes_the_config_map_away_and_resuming_brings_the_same_back(lab: Lab) -> None:
    name, switch = lab.new("paused"), lab.new("fleet")
    lab.apply(name, switch=switch)
    before = lab.wait_config_map(name)
    lab.edit(name, suspend=True)
    lab.wait_gone(name)
    lab.wait_condition(name, "Programmed", "False", "Suspended")
    lab.wait_condition(name, "Accepted", "True")
    lab.edit(name, suspend=None)
    after = lab.wait_config_map(name)
    assert after["data"] == before["data"]
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    assert "ConfigMapRestored" not in [e["reason"] for e in lab.events(name)]


def test_a_refused_change_keeps_the_last_good_version(lab: Lab) -> None:
    name, switch = lab.new("kept"), lab.new("fleet")
    lab.apply(name, switch=switch)
    before = lab.wait_config_map(name)
    lab.secret(lab.namespace, labelled=True, password="first\n")
    lab.edit(name, passwordFrom={"secretKeyRef": {"name": lab.namespace, "key": "password"}})
    condition = lab.wait_condition(name, "Accepted", "False", "SecretLineEnd")
    assert "An earlier accepted version stays on the switches." in condition["message"]
    lab.wait_condition(name, "Programmed", "False", "HeldLastGood")
    assert lab.config_map(name) == before
    lab.secret(lab.namespace, labelled=True, password="first")
    lab.wait_condition(name, "Accepted", "True")
    assert lab.config_map(name) != before
    lab.verified(name)


def test_one_that_was_never_accepted_has_no_config_map_until_it_is(lab: Lab) -> None:
    name, switch = lab.new("never"), lab.new("fleet")
    lab.apply(name, switch=switch, passwordFrom={"secretKeyRef": {"name": name, "key": "password"}})
    lab.wait_condition(name, "Accepted", "False", "SecretMissing")
    lab.wait_condition(name, "Programmed", "False", "NotAccepted")
    assert lab.config_map(name) is None
    lab.secret(name)
    lab.wait_condition(name, "Accepted", "True")
    lab.wait_config_map(name)


def test_a_rename_changes_the_name_in_place(lab: Lab) -> None:
    name, switch = lab.new("renamed"), lab.new("fleet")
    lab.apply(name, switch=switch)
    before = lab.wait_config_map(name)
    lab.edit(name, gatewayName="Other.Name")
    after = lab.wait_gateway(name, "Other.Name")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert lab.verified(name).name == "Other.Name"
    lab.wait_condition(name, "Programmed", "Unknown")
    assert lab.get("sipgateways", name)["status"]["gatewayName"] == "Other.Name"


def test_a_move_to_another_switch_is_one_write_under_the_keys_of_that_fleet(lab: Lab) -> None:
    name, one, two = lab.new("moved"), lab.new("fleet"), lab.new("fleet")
    lab.apply(name, switch=one)
    before = lab.wait_config_map(name)
    lab.edit(name, switch=two)
    after = lab.wait_config_map(name, lambda found: found["metadata"]["labels"]["sipgateway.dev/switch"] == two)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    lab.verify(after)
    assert lab.keys(one).revision.key_id != lab.keys(two).revision.key_id
    lab.edit(name, switch=one)
    back = lab.wait_config_map(name, lambda found: found["metadata"]["labels"]["sipgateway.dev/switch"] == one)
    assert back["data"] == before["data"]


def test_a_move_between_profiles_and_to_the_directory_is_in_the_target(lab: Lab) -> None:
    name, switch = lab.new("places"), lab.new("fleet")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    lab.edit(name, profile="internal")
    lab.wait_config_map(name, lambda found: '"profile":"internal"' in found["data"]["target.json"])
    assert lab.verified(name).profile == "internal"
    lab.edit(name, directory={"domain": "example.com", "user": "1000"})
    lab.wait_config_map(name, lambda found: '"user":"1000"' in found["data"]["target.json"])
    assert lab.verified(name).directory == DirectoryUser("example.com", "1000")
    lab.edit(name, directory=None, profile=None)
    lab.wait_config_map(name, lambda found: '"directory":null' in found["data"]["target.json"])
    assert (lab.verified(name).profile, lab.verified(name).directory) == ("external", None)


def test_the_longest_names_fit(lab: Lab) -> None:
    name, switch = ("n" * 120 + ".") * 2 + lab.new("n"), lab.new("f" * 30)
    name = name[: 253 - len("sipgateway-")].rstrip(".-")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    assert lab.verified(name).name == name
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    lab.wait_event(name, "Accepted")


def test_what_another_release_wrote_stays_when_it_means_the_same(lab: Lab) -> None:
    name, switch = lab.new("older"), lab.new("fleet")
    lab.apply(name, switch=switch)
    found = lab.wait_config_map(name)
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    data = dict(found["data"])
    data["gateway.xml"] = data["gateway.xml"].replace("Managed by sipgateway", "Made by sipgateway 0.0.1")
    keys, mine = lab.keys(switch), found["metadata"]["name"]
    data = signed(data, keys, namespace=lab.namespace, switch=switch, name=mine)
    lab.operator.stop()
    with lab.plane.api_as(lab.kubeconfig) as earlier_release:
        before = earlier_release.patch(lab.path("configmaps", mine), {"data": data})
    lab.verify(before)
    lab.operator.start()
    lab.fence(switch)
    assert lab.config_map(name) == before
    lab.edit(name, proxy="sip.example.net")  # the next change is written as this release does
    after = lab.wait_config_map(name, lambda found: found["data"] != before["data"])
    assert "0.0.1" not in after["data"]["gateway.xml"]


def test_a_bad_one_among_many_holds_up_no_other(lab: Lab) -> None:
    switch, names = lab.new("fleet"), [lab.new("many") for _ in range(20)]
    bad = [lab.new("bad") for _ in range(5)]
    for number, name in enumerate(names):
        if number % 4 == 0:
            lab.apply(bad[number // 4], switch=switch, passwordFrom={"secretKeyRef": {"name": "none", "key": "none"}})
        lab.apply(name, switch=switch)
    for name in names:
        found = lab.wait_config_map(name)
        assert carried(found) == name
    for name in bad:
        lab.wait_condition(name, "Accepted", "False", "SecretMissing")
        assert lab.config_map(name) is None


def test_dry_runs_and_other_kinds_of_the_group_change_nothing(lab: Lab) -> None:
    name, switch = lab.new("dry"), lab.new("fleet")
    lab.plane.api.apply(
        f"{API}/namespaces/{lab.namespace}/sipgateways/{name}", gateway(name, switch=switch), dryRun="All"
    )
    lab.fence(switch)
    assert lab.config_map(name) is None
