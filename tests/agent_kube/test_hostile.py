"""ConfigMaps that mean harm: each is refused with a reason, nothing is executed, nothing removed, no file elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sipgateway.render.keys import FleetKeys
from tests.agent_kube.bare import SWITCH, Bare, outbound, registering
from tests.agent_kube.pods import SwitchPod
from tests.canary import Canary
from tests.render.fleets import KEYS, fleet_keys, signed

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(180)]

ENTITIES = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>
<include><gateway name="NAME"><param name="realm" value="&d;&d;&d;&d;&d;"/></gateway></include>"""

XML = {
    "entities": ENTITIES,
    "external-entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><include>&e;</include>',
    "exec": '<include>\n<X-PRE-PROCESS cmd="exec" data="touch /tmp/sipgw-was-here"/>\n</include>\n',
    "exec-set": '<include>\n<X-PRE-PROCESS cmd="exec-set" data="a=touch /tmp/sipgw-was-here"/>\n</include>\n',
    "include": '<include>\n<X-PRE-PROCESS cmd="include" data="/etc/*.xml"/>\n</include>\n',
    "directive": "<include>\n<!--#exec touch /tmp/sipgw-was-here-->\n</include>\n",
    "profile": '<include><profile name="evil"><settings/></profile></include>',
    "two-gateways": '<include><gateway name="NAME"/><gateway name="other"/></include>',
    "no-xml": "\x00\x01 nothing",
    "deep": "<include>" * 5000 + "</include>" * 5000,
    "huge": '<include><gateway name="NAME"><param name="realm" value="' + "x" * 900_000 + '"/></gateway></include>',
}

TARGETS = {
    "path-profile": {"profile": "../../../tmp"},
    "absolute-profile": {"profile": "/tmp"},
    "path-user": {"directory": {"domain": "../..", "user": "x"}},
    "path-in-user": {"directory": {"domain": "example.com", "user": "../../x"}},
    "path-name": {"gateway": "../../evil"},
    "name-with-space": {"gateway": "evil name"},
    "name-with-newline": {"gateway": "evil\n\napi fsctl shutdown"},
    "name-of-all": {"gateway": "_all_"},
    "no-name": {"gateway": ""},
    "long-name": {"gateway": "x" * 300},
    "a-number": {"gateway": 7},
    "a-list": {"gateway": ["good"]},
}


def hostile(bare: Bare) -> Iterator[tuple[str, dict[str, str]]]:
    """ConfigMap name -> data. What begins with `signed` has a MAC of the fleet's own key."""
    good = dict(bare.body(registering("good")).data)
    victim = dict(bare.body(registering("victim")).data)
    foreign = dict(bare.body(registering("foreign"), keys=fleet_keys("b")).data)
    yield "sipgateway-empty", {}
    yield "sipgateway-no-mac", {k: v for k, v in victim.items() if k != "mac"}
    yield "sipgateway-no-target", {k: v for k, v in victim.items() if k != "target.json"}
    yield "sipgateway-bad-mac", victim | {"mac": "1-00000000-" + "0" * 64}
    yield "sipgateway-odd-mac", victim | {"mac": "é" * 100}
    yield "sipgateway-other-key", foreign
    yield "sipgateway-replayed", good
    yield "sipgateway-victim", victim | {"gateway.xml": victim["gateway.xml"].replace("victim", "evil")}
    yield "sipgateway-swapped", good | {"target.json": victim["target.json"]}
    yield "sipgateway-path", victim | {"x..gateway.xml": "x", ".sipgw": "y", "mac": good["mac"]}
    yield "sipgateway-huge", {"gateway.xml": "x" * 1_000_000, "target.json": "{", "mac": victim["mac"]}
    for kind, xml in XML.items():
        if "\0" in xml:
            continue  # no ConfigMap can hold it as text
        name = f"sipgateway-xml-{kind}"
        data = victim | {"gateway.xml": xml.replace("NAME", "victim")}
        yield name, data
        yield f"{name}-signed", signed(data, namespace=bare.namespace, switch=SWITCH, name=f"{name}-signed")
    for kind, change in TARGETS.items():
        name = f"sipgateway-target-{kind}"
        text = json.dumps(json.loads(victim["target.json"]) | change, separators=(",", ":"), sort_keys=True)
        data = victim | {"target.json": text}
        yield name, data
        yield f"{name}-signed", signed(data, namespace=bare.namespace, switch=SWITCH, name=f"{name}-signed")
    deep = victim | {"target.json": "[" * 1500 + "]" * 1500}
    yield "sipgateway-deep-json", signed(deep, namespace=bare.namespace, switch=SWITCH, name="sipgateway-deep-json")


def tree(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but our own memory."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".sipgw" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_hostile_config_maps_are_refused_one_by_one_and_touch_nothing(
    bare: Bare, start_pod: Callable[..., SwitchPod]
) -> None:
    pod = start_pod(bare, "switch-0", start=False)
    bare.publish(registering("good"))
    bare.publish(outbound("quiet"))
    pod.start()
    pod.wait(lambda: pod.report.get("counts", {}).get("registered") == 1, "not registered")
    files, journal, commands = tree(pod.conf), len(pod.control("journal")), len(pod.control("commands"))
    peak = pod.agent.memory_peak()
    count = 0
    for name, data in hostile(bare):
        bare.write(name, data)
        count += 1
    bare.write("sipgateway-binary", {}, binary={"gateway.xml": "AAAA", "target.json": "AAAA", "mac": "AAAA"})
    pod.wait(lambda: pod.agent.metrics().get("sipgateway_agent_config_maps_refused") == count + 1, f"{count} were sent")
    newest = bare.publish(outbound("after"))
    pod.wait(lambda: pod.revision("after") == newest, "a good one that came later is not loaded")
    pod.wait(lambda: pod.problems("Programmed").keys() == {"victim", "foreign"}, "not named")
    assert {p["reason"] for p in pod.problems().values()} == {"ConfigMapRefused"}
    found = tree(pod.conf)
    assert found.keys() - files.keys() == {"sip_profiles/external/sipgw-after.xml"}
    assert {path: found[path] for path in files} == files
    assert len(pod.control("journal")) == journal
    sent = [c["text"] for c in pod.control("commands", since=commands)]
    assert not [text for text in sent if "evil" in text or "victim" in text or "killgw" in text or "good" in text]
    assert not Path("/tmp/sipgw-was-here").exists()
    assert pod.agent.memory_peak() - peak < 60_000_000
    assert pod.agent.returncode is None


def test_a_seal_of_a_key_that_comes_later_is_opened_when_it_comes(
    bare: Bare, start_pod: Callable[..., SwitchPod]
) -> None:
    pod = start_pod(bare, "switch-0")
    newer = _rotated()
    revision = bare.publish(registering("acme"), keys=newer)
    pod.wait(lambda: pod.problems().get("acme", {}).get("reason") == "ConfigMapRefused", "not refused")
    bare.put_keys(newer)
    pod.wait(lambda: pod.revision("acme") == revision, "not loaded", 40)
    pod.wait(lambda: pod.report["sealKeys"] == sorted(newer.ids) and not pod.problems(), "not reported")


def test_a_password_stands_in_the_gateways_file_and_nowhere_else(
    bare: Bare, start_pod: Callable[..., SwitchPod], canary: Canary
) -> None:
    pod = start_pod(bare, "switch-0")
    bare.publish(registering("acme", password=canary.password))
    bare.write(
        "sipgateway-forged", dict(bare.body(registering("forged", password=canary.password)).data) | {"mac": "x"}
    )
    expected = {"acme": "CredentialsRefused", "forged": "ConfigMapRefused"}
    pod.wait(lambda: {name: p["reason"] for name, p in pod.problems().items()} == expected, "not reported")
    newest = bare.publish(registering("acme", "2", password=canary.password))
    pod.wait(lambda: pod.revision("acme") == newest, "not replaced")
    pod.wait(lambda: {name: p["reason"] for name, p in pod.problems().items()} == expected, "not reported again")
    assert pod.agent.metrics()["sipgateway_agent_config_maps_refused"] == 1
    said = [pod.agent.get("/metrics")[1], json.dumps(bare.find("sipswitches", "switch-0"))]
    said.append(Path(f"/proc/{pod.agent.pid}/environ").read_text())
    canary.assert_absent(*said, pod.agent.log, pod.conf / ".sipgw" / "fleet.json")
    canary.assert_in_no_process_arguments()
    pod.wait(lambda: not list((pod.conf / ".sipgw").rglob("*.xml")), "the earlier version is still kept")
    files = [path for path in pod.conf.rglob("*") if path.is_file() and canary.seen_in(path.read_bytes())]
    assert {path.name for path in files} == {"sipgw-acme.xml"}
    assert all(path.stat().st_mode & 0o777 == 0o640 for path in files)


def _rotated() -> FleetKeys:
    announced = KEYS.with_new_seal(lambda size: bytes(range(64))[:size])
    assert announced.following is not None
    return announced.activated(announced.following)
