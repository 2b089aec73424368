"""What an apply makes of ConfigMaps: exactly one for each SipGateway, and what becomes of it with every change."""

from __future__ import annotations

from tests.kube.lab import PASSWORD, Lab, carried


def test_an_apply_gives_a_config_map_that_an_agent_verifies(lab: Lab) -> None:
    name, switch = lab.new("first"), lab.new("fleet")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    published = lab.verified(name)
    assert published.name == name
    assert {p.name: p.value for p in published.gateway.parameters}["password"] == PASSWORD


def test_a_change_is_followed(lab: Lab) -> None:
    name, switch = lab.new("changed"), lab.new("fleet")
    lab.apply(name, switch=switch)
    before = lab.wait_config_map(name)
    lab.edit(name, gatewayName="other.name")
    after = lab.wait_gateway(name, "other.name")
    assert carried(before) == name
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert lab.verified(name).name == "other.name"
