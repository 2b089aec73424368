"""What others do to our ConfigMaps is undone within a second; what is theirs is left alone.

The shipped admission policy lets nobody else write them. Here somebody has got round it: with the operator's own token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from sipgateway.render import configmap
from tests.controlplane.api import Api
from tests.kube.lab import Lab, Obj, carried

Meddle = Callable[[Obj], Obj]


@pytest.fixture
def intruder(lab: Lab) -> Iterator[Api]:
    """Somebody with the operator's token."""
    with lab.plane.api_as(lab.kubeconfig) as api:
        yield api


def made(lab: Lab, **spec: Any) -> tuple[str, str, Obj]:
    switch, name = lab.new("fleet"), lab.new("drift")
    lab.apply(name, switch=switch, **spec)
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    return switch, name, lab.wait_config_map(name)


def ours(found: Obj) -> tuple[object, ...]:
    """What of a ConfigMap is ours."""
    meta = found["metadata"]
    labels = {k: v for k, v in meta["labels"].items() if k in configmap.labels("", "")}
    return found["data"], found.get("binaryData"), found.get("immutable"), labels, meta["ownerReferences"]


CHANGES: dict[str, Obj] = {
    "the XML": {"data": {"gateway.xml": "<include/>"}},
    "the target": {"data": {"target.json": "{}"}},
    "the MAC": {"data": {"mac": None}},
    "everything": {"data": None},
    "another entry": {"data": {"more": "x"}},
    "binary data": {"binaryData": {"more": "eA=="}},
    "the fleet's label": {"metadata": {"labels": {"sipgateway.dev/switch": "elsewhere"}}},
    "no fleet's label": {"metadata": {"labels": {"sipgateway.dev/switch": None}}},
    "no name label": {"metadata": {"labels": {"app.kubernetes.io/name": None}}},
    "another label of ours": {"metadata": {"labels": {"app.kubernetes.io/instance": "x"}}},
    "no labels": {"metadata": {"labels": None}},
    "no owner": {"metadata": {"ownerReferences": None}},
    "no owner and no labels": {"metadata": {"ownerReferences": None, "labels": None}},
    "immutable": {"immutable": True},
    "immutable and edited": {"immutable": True, "data": {"gateway.xml": "<include/>"}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_by_somebody_else_is_put_back_within_a_second_and_told(lab: Lab, intruder: Api, what: str) -> None:
    _, name, before = made(lab)
    intruder.patch(lab.path("configmaps", before["metadata"]["name"]), CHANGES[what])
    began = time.monotonic()
    lab.wait_config_map(name, partial(_is, before))
    assert time.monotonic() - began < 1.0
    event = lab.wait_event(name, "ConfigMapRestored")
    assert event["type"] == "Warning"
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")


def _is(wanted: Obj, found: Obj) -> bool:
    try:
        return ours(found) == ours(wanted)
    except KeyError:
        return False


def test_a_deleted_one_is_back_within_a_second_and_each_time_it_is_told(lab: Lab) -> None:
    _, name, before = made(lab)
    for count in (1, 2):
        lab.delete(before["metadata"]["name"], "configmaps")
        began = time.monotonic()
        lab.wait_config_map(name, partial(_is, before))
        assert time.monotonic() - began < 1.0

        def told(count: int = count) -> bool:
            return [e["reason"] for e in lab.events(name)].count("ConfigMapRestored") == count

        lab.wait(told, lambda: f"{lab.events(name)}")
    assert lab.operator.metrics()["sipgateway_drift_repaired_total"] >= 2


def test_all_that_are_deleted_at_once_are_back(lab: Lab) -> None:
    switch, names = lab.new("fleet"), [lab.new("all") for _ in range(20)]
    for name in names:
        lab.apply(name, switch=switch)
    before = {name: lab.wait_config_map(name) for name in names}
    lab.plane.api.delete(lab.path("configmaps"), labelSelector=f"sipgateway.dev/switch={switch}")
    for name in names:
        lab.wait_config_map(name, partial(_is, before[name]))


def test_what_others_add_beside_ours_stays(lab: Lab, intruder: Api) -> None:
    switch, name, before = made(lab)
    more = {"metadata": {"labels": {"team": "voice"}, "annotations": {"note": "x"}}}
    intruder.patch(lab.path("configmaps", before["metadata"]["name"]), more)
    lab.fence(switch)
    lab.edit(name, proxy="sip.example.net")
    after = lab.wait_config_map(name, lambda found: found["data"] != before["data"])
    assert after["metadata"]["labels"]["team"] == "voice"
    assert after["metadata"]["annotations"] == {"note": "x"}
    assert "ConfigMapRestored" not in [e["reason"] for e in lab.events(name)]


def test_drift_while_no_operator_runs_is_put_back_when_one_does(lab: Lab, intruder: Api) -> None:
    switch, name, before = made(lab)
    _, other, gone = made(lab)
    lab.operator.stop()
    intruder.patch(lab.path("configmaps", before["metadata"]["name"]), CHANGES["binary data"])
    lab.delete(gone["metadata"]["name"], "configmaps")
    lab.operator.start()
    lab.wait_config_map(name, partial(_is, before))
    lab.wait_config_map(other, partial(_is, gone))
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
    lab.fence(switch)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_foreign_one_of_our_name_is_never_touched_and_its_end_heals(lab: Lab, intruder: Api, labelled: bool) -> None:
    switch, name = lab.new("fleet"), lab.new("foreign")
    rival = lab.new("rival")
    labels = configmap.labels(name, switch) if labelled else {"team": "voice"}
    target = '{"directory":null,"gateway":"RIVAL","profile":"external","registers":true,"revision":"1-00000000-'
    data = {"theirs": "yes", "target.json": target.replace("RIVAL", rival) + "0" * 32 + '"}'}
    meta = {"name": f"sipgateway-{name}", "labels": labels}
    (intruder if labelled else lab.plane.api).create(lab.path("configmaps"), {"metadata": meta, "data": data})
    before = lab.config_map(name)
    lab.apply(name, switch=switch)
    condition = lab.wait_condition(name, "Programmed", "False", "ConfigMapNotWritten")
    assert f"ConfigMap {lab.namespace}/sipgateway-{name} was not made by sipgateway" in condition["message"]
    lab.apply(rival, switch=switch)  # what the foreign one says that it carries counts for nothing
    lab.wait_gateway(rival, rival)
    for change in ({"suspend": True}, {"suspend": None, "proxy": "sip.example.net"}):
        lab.edit(name, **change)
        lab.fence(switch)
        assert lab.config_map(name) == before
    lab.delete(name)
    lab.fence(switch)
    assert lab.config_map(name) == before
    lab.apply(name, switch=switch)
    lab.wait_condition(name, "Programmed", "False", "ConfigMapNotWritten")
    lab.delete(f"sipgateway-{name}", "configmaps")
    lab.wait_gateway(name, name)
    lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")


def test_one_with_our_labels_under_another_name_is_left_alone(lab: Lab, intruder: Api) -> None:
    switch, name = lab.new("fleet"), lab.new("theirs")
    body = {"metadata": {"name": name, "labels": configmap.labels(name, switch)}, "data": {"theirs": "yes"}}
    before = intruder.create(lab.path("configmaps"), body)
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    lab.delete(name)
    lab.wait_gone(name)
    assert lab.find("configmaps", name) == before


def test_a_copy_of_a_config_map_under_another_name_is_no_gateways(lab: Lab, intruder: Api) -> None:
    switch, name, before = made(lab)
    copy = lab.new("copy")
    meta = {"name": f"sipgateway-{copy}", "labels": configmap.labels(copy, switch)}
    intruder.create(lab.path("configmaps"), {"metadata": meta, "data": before["data"]})
    lab.fence(switch)
    found = lab.config_map(copy)
    assert found is not None
    with pytest.raises(configmap.PublishedError):
        lab.verify(found)
    lab.edit(name, proxy="sip.example.net")  # the copy says that it has the name: it does not
    lab.wait_config_map(name, lambda found: found["data"] != before["data"])
    lab.apply(copy, switch=switch)
    lab.wait_condition(copy, "Programmed", "False", "ConfigMapNotWritten")


def test_an_orphaning_delete_takes_the_config_map_too(lab: Lab) -> None:
    """A gateway goes when its SipGateway is gone; a ConfigMap that nobody owns would stay for ever."""
    _, name, _ = made(lab)
    lab.plane.kubectl("-n", lab.namespace, "delete", "sipgateway", name, "--cascade=orphan")
    lab.wait_gone(name)
    assert "ConfigMapRestored" not in [e["reason"] for e in lab.events(name)]


def test_a_foreground_delete_makes_nothing_anew(lab: Lab) -> None:
    _, name, before = made(lab)
    with lab.plane.record(lab.path("configmaps")) as recorder:
        lab.plane.kubectl("-n", lab.namespace, "delete", "sipgateway", name, "--cascade=foreground")
        lab.wait_gone(name, "sipgateways")
        lab.wait_gone(name)
    mine = [e for e in recorder.events() if e["object"]["metadata"]["name"] == before["metadata"]["name"]]
    assert [event["type"] for event in mine if event["type"] != "MODIFIED"] == ["DELETED"]


def test_one_that_waits_for_a_finalizer_keeps_its_name_until_it_is_gone(lab: Lab) -> None:
    switch, name, before = made(lab, gatewayName="x")
    lab.plane.api.patch(lab.path("sipgateways", name), {"metadata": {"finalizers": ["example.com/hold"]}})
    lab.delete(name)
    next_one = lab.new("next")
    lab.apply(next_one, switch=switch, gatewayName="x")
    lab.wait_condition(next_one, "Accepted", "False", "GatewayNameTaken")
    assert carried(lab.config_map(name) or {}) == "x"
    lab.delete(before["metadata"]["name"], "configmaps")  # as the garbage collector might
    lab.wait_gateway(next_one, "x")
    lab.fence(switch)
    assert lab.config_map(name) is None
    lab.plane.api.patch(lab.path("sipgateways", name), {"metadata": {"finalizers": None}})
    lab.wait_gone(name, "sipgateways")
