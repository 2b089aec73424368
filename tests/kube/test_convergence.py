"""Whatever order events, requests, answers, failures and kills come in: one holder per name, and the same end.

A model of the API server (simulated.py) holds what there is; hypothesis chooses who does the next small step. What must
hold at every moment is checked at each write, what must hold in the end after everything that was told has been heard.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sipgateway.api.accept import accept
from sipgateway.api.gateway import Gateway
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView
from sipgateway.kube.keysecrets import secret_object
from sipgateway.kube.records import FleetId, Key, decoded
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, secret_name
from tests import profiles
from tests.kube.simulated import NAMESPACE, STREAMS, Obj, Replica, Server, key_of
from tests.render.fleets import fleet_keys, test_key

NAMES = st.sampled_from(["g0", "g1", "g2", "g3"])
GATEWAYS = st.sampled_from(["x", "y", "z"])
FLEETS = st.sampled_from(["f0", "f0", "f0", "f1"])
#: Changes of one SipGateway: mostly the name, because that is where they get into each other's way.
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "gatewayName": GATEWAYS,
        "switch": FLEETS,
        "suspend": st.booleans(),
        "profile": st.sampled_from(["external", "internal"]),
        "proxy": st.sampled_from(["sip.example.com", "no proxy"]),  # the second one is refused
        "register": st.booleans(),
    },
)

#: Choices of what comes next, as many as there are.
STEPS = st.lists(st.integers(0, 11), min_size=5, max_size=40)
MEDDLING = (
    "delete",
    "edit",
    "add",
    "forge",
    "remove mac",
    "owner",
    "immutable",
    "sipgateway.dev/switch",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
)


class Operators(RuleBasedStateMachine):
    """Users, somebody who meddles, the garbage collector, and an operator that may die at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server(self.written)
        self.known_keys: dict[str, list[FleetKeys]] = {}
        self.drifted: set[Key] = set()
        self.kept_secret: Obj | None = None
        self.rotations = 0
        self.at_rest = False
        self.replica = Replica(self.server)

    # What must hold at every write

    def written(self, who: str, plural: str, before: Obj | None, after: Obj | None) -> None:
        assert not self.at_rest, f"a new operator writes though all is well: {plural} {before} {after}"
        if (
            plural == "secrets"
            and after is not None
            and (after["metadata"].get("labels") or {}).get("sipgateway.dev/keys")
        ):
            switch = after["metadata"]["labels"]["sipgateway.dev/keys"]
            self.known_keys.setdefault(switch, []).append(FleetKeys.from_data(decoded(after["data"])))
        if plural == "configmaps" and who == "operator":
            assert before is None or not self.is_foreign(before), "a foreign ConfigMap was touched"
            if after is not None:
                assert self.verified(after) is not None, f"written, and does not verify: {after}"
            names = [name for obj in self.server.all("configmaps") if (name := self.verified(obj)) is not None]
            assert len(names) == len(set(names)), f"two of the same name: {sorted(names)}"

    def verified(self, obj: Obj, only: FleetKeys | None = None) -> tuple[str, str] | None:
        """The fleet and the name that an agent takes a ConfigMap for; None for one that it refuses.

        With all keys that the fleet ever had, or only these.
        """
        labels = obj["metadata"].get("labels") or {}
        switch = labels.get("sipgateway.dev/switch", "")
        if labels.get("app.kubernetes.io/name") != "sipgateway":
            return None  # agents ask for both labels
        for keys in [only] if only else reversed(self.known_keys.get(switch, [])):
            try:
                found = configmap.verify(
                    obj.get("data") or {},
                    labels,
                    namespace=NAMESPACE,
                    name=obj["metadata"]["name"],
                    switch=switch,
                    keys=keys,
                )
            except configmap.PublishedError:
                continue
            return switch, found.name
        return None

    @staticmethod
    def is_foreign(obj: Obj) -> bool:
        return "theirs" in (obj.get("data") or {})

    # What users do

    @initialize(names=st.lists(GATEWAYS, min_size=2, max_size=4), rested=st.booleans())
    def begin(self, names: list[str], rested: bool) -> None:
        self.secret("first")
        for number, gateway in enumerate(names):
            self.apply(f"g{number}", {"gatewayName": gateway})
        if rested:
            self.settle()

    @rule(name=NAMES, gateway=GATEWAYS)
    def rename(self, name: str, gateway: str) -> None:
        self.apply(name, {"gatewayName": gateway})

    @rule(one=NAMES, other=NAMES)
    def swap(self, one: str, other: str) -> None:
        found = [self.server.find("sipgateways", name) for name in (one, other)]
        if found[0] is not None and found[1] is not None:
            names = [obj["spec"]["gatewayName"] for obj in found if obj]
            self.apply(one, {"gatewayName": names[1]})
            self.apply(other, {"gatewayName": names[0]})

    @rule(name=NAMES, spec=CHANGES)
    def apply(self, name: str, spec: Mapping[str, object]) -> None:
        found = self.server.find("sipgateways", name)
        if found is None:
            stamp = f"2026-01-01T00:00:{self.server.version // 4 % 60:02d}Z"  # seconds: some are of the same age
            found = {"metadata": {"name": name, "creationTimestamp": stamp}, "spec": {}}
            found |= {"apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipGateway"}
            found["spec"] = {"username": "alice", "proxy": "sip.example.com", "gatewayName": "x", "switch": "f0"}
            found["spec"]["passwordFrom"] = {"secretKeyRef": {"name": "acme", "key": "password"}}
        found["spec"] |= spec
        self.server.store("user", "sipgateways", found)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self.server.find("sipgateways", name) is not None:
            self.server.remove("user", "sipgateways", name)

    @rule(value=st.sampled_from(["first", "second", ""]))
    def secret(self, value: str) -> None:
        if value:
            data = {"password": base64.b64encode(value.encode()).decode()}
            labels = {"sipgateway.dev/credentials": "true"}
            self.server.store("user", "secrets", {"metadata": {"name": "acme", "labels": labels}, "data": data})
        elif self.server.find("secrets", "acme") is not None:
            self.server.remove("user", "secrets", "acme")

    # What others do

    @rule(name=NAMES, how=st.sampled_from(MEDDLING), gateway=GATEWAYS)
    def meddle(self, name: str, how: str, gateway: str) -> None:
        found = self.server.find("configmaps", f"sipgateway-{name}")
        if found is None or self.is_foreign(found):
            return
        whole = self.verified(found) is not None and "ownerReferences" in found["metadata"]
        if not whole and how not in {"delete", "immutable"}:
            return  # changed and without an owner it would be nobody's any more
        self.drifted.add(key_of(name))
        data, labels = found["data"], found["metadata"]["labels"]
        match how:
            case "delete":
                self.server.remove("somebody", "configmaps", f"sipgateway-{name}")
                return
            case "edit":
                data["gateway.xml"] = f"{data.get('gateway.xml', '')} "
            case "add":
                data["more"] = gateway
            case "forge":
                target = json.loads(data["target.json"]) | {"gateway": gateway}
                data["target.json"] = json.dumps(target, separators=(",", ":"))
            case "remove mac":
                data.pop("mac", None)
            case "owner":
                found["metadata"].pop("ownerReferences", None)
            case "immutable":
                found["immutable"] = True
            case label:
                labels.pop(label, None)
        self.server.store("somebody", "configmaps", found)

    @rule(name=NAMES, labelled=st.booleans())
    def foreign(self, name: str, labelled: bool) -> None:
        """Makes one where there is none; removes one that is there."""
        found = self.server.find("configmaps", f"sipgateway-{name}")
        if found is None:
            labels = configmap.labels(name, "f0") if labelled else {}
            target = '{"directory":null,"gateway":"x","profile":"external","registers":true,"revision":"1-00000000-'
            data = {"theirs": "yes", "target.json": target + "0" * 32 + '"}', "mac": f"1-00000000-{'0' * 64}"}
            meta = {"name": f"sipgateway-{name}", "labels": labels}
            self.server.store("somebody", "configmaps", {"metadata": meta, "data": data})
            self.drifted.add(key_of(name))
        elif self.is_foreign(found):
            self.server.remove("somebody", "configmaps", f"sipgateway-{name}")

    @rule(how=st.sampled_from(["lose", "restore", "label", "replace", "rotate", "rotate"]))
    def keys(self, how: str) -> None:
        found = self.server.find("secrets", secret_name("f0"))
        match how:
            case "lose" if found is not None:
                self.kept_secret = found
                self.server.remove("somebody", "secrets", secret_name("f0"))
            case "restore" if found is None and self.kept_secret is not None:
                self.server.store("user", "secrets", copy.deepcopy(self.kept_secret))
            case "label" if found is not None:
                found["metadata"]["labels"].pop("sipgateway.dev/keys", None)
                self.server.store("somebody", "secrets", found)
            case "replace" if found is None:
                self.server.store("somebody", "secrets", secret_object(FleetId(NAMESPACE, "f0"), fleet_keys("other")))
            case "rotate" if found is not None:
                self.rotations += 1
                keys = FleetKeys.from_data(decoded(found["data"])).with_new_seal(
                    lambda size: test_key(f"rotation {self.rotations}", size)
                )
                assert keys.following is not None
                data = keys.activated(keys.following).to_data()
                found["data"] = {name: base64.b64encode(value).decode() for name, value in data.items()}
                self.server.store("user", "secrets", found)

    @rule()
    def collect_garbage(self) -> None:
        for name in self.server.orphans():
            self.server.remove("collector", "configmaps", name)

    # What the operator does, in steps

    @rule(steps=STEPS)
    def work(self, steps: list[int]) -> None:
        for step in steps:
            self.step(step)

    @rule(steps=STEPS)
    def work_on(self, steps: list[int]) -> None:
        self.work(steps)

    def step(self, number: int) -> None:
        """One step of those that are possible: hear of a change, look, have a request carried out, have it answered."""
        replica = self.replica
        possible: list[Callable[[], object]] = []
        possible += [partial(replica.deliver, stream) for stream in STREAMS if replica.behind(stream)]
        possible += [partial(replica.look, key) for key in replica.ready()]
        for key, look in replica.looks.items():
            done = look.call.carried_out
            possible.append(partial(replica.answer, key) if done else partial(look.call.carry_out, self.server))
        if possible:
            possible[number % len(possible)]()

    @rule()
    def rest(self) -> None:
        self.settle()

    @precondition(lambda self: self.replica.looks)
    @rule(which=st.integers(0, 3), carried_out=st.booleans())
    def lose_answer(self, which: int, carried_out: bool) -> None:
        keys = sorted(self.replica.looks)
        key = keys[which % len(keys)]
        call = self.replica.looks[key].call
        if carried_out and not call.carried_out:
            call.carry_out(self.server)
        self.replica.answer(key, lost=True)

    @rule(how=st.sampled_from(["timers", "list", "kill", "kill late"]), stream=st.sampled_from(sorted(STREAMS)))
    def trouble(self, how: str, stream: str) -> None:
        if how == "timers":
            self.replica.timers()
        elif how == "list":
            self.replica.list_all(stream)
        else:
            for look in self.replica.looks.values():
                if how == "kill late" and not look.call.carried_out:
                    look.call.carry_out(self.server)
            self.replica.close()
            self.replica = Replica(self.server)

    @invariant()
    def only_drift_is_called_drift(self) -> None:
        for key, _, outcome in self.replica.outcomes:
            assert not outcome.restored or key in self.drifted, f"nobody had touched the ConfigMap of {key}"
        self.replica.outcomes.clear()

    # What must hold in the end

    def teardown(self) -> None:
        try:
            self.settle()
            self.judge()
            self.come_to_rest_again()
        finally:
            self.replica.close()

    def settle(self) -> None:
        """Everything is heard, and nothing fails any more, until nothing happens."""
        replica = self.replica
        for _ in range(20):
            self.collect_garbage()
            replica.timers()
            for _ in range(200):
                for stream in STREAMS:
                    while replica.behind(stream):
                        replica.deliver(stream)
                for key in replica.ready():
                    replica.look(key)
                for key in list(replica.looks):
                    if not replica.looks[key].call.carried_out:
                        replica.looks[key].call.carry_out(self.server)
                    replica.answer(key)
                if not (replica.hinted or replica.looks or any(map(replica.behind, STREAMS))):
                    break
            else:
                pytest.fail(f"it never comes to rest: {list(replica.hinted)}")
            if not self.server.orphans() and all(self.cannot(key) for key in replica.later):
                return
        pytest.fail(f"it never succeeds: {replica.later}")

    def cannot(self, key: Key) -> bool:
        """Whether somebody must act: a ConfigMap is foreign, or nobody can say whose it is, or keys are missing."""
        record = self.replica.world.gateways.get(key)
        if record is not None and self.usable_keys(record.name.fleet.switch) is None:
            return True  # it looks for them now and then: no watch tells of a Secret without our label
        found = self.server.find("configmaps", f"sipgateway-{key.name}")
        return found is not None and (self.is_foreign(found) or self.is_nobodys(found))

    def is_nobodys(self, obj: Obj) -> bool:
        """Whether a ConfigMap lost its owner, and the keys that could prove it are lost as well."""
        switch = (obj["metadata"].get("labels") or {}).get("sipgateway.dev/switch", "")
        return "ownerReferences" not in obj["metadata"] and self.usable_keys(switch) is None

    def judge(self) -> None:
        wanted = {obj["metadata"]["name"]: obj for obj in self.server.all("sipgateways")}
        maps = {
            obj["metadata"]["name"].removeprefix("sipgateway-"): obj
            for obj in self.server.all("configmaps")
            if not (self.is_foreign(obj) or self.is_nobodys(obj))
            if STREAMS["config maps"][1](obj)  # nobody sees one without our labels
        }
        for name, found in maps.items():
            assert name in wanted, f"{name} is gone, its ConfigMap is not"
            assert not wanted[name]["spec"].get("suspend"), f"{name} is suspended, its ConfigMap is there"
            keys = self.usable_keys(found["metadata"]["labels"]["sipgateway.dev/switch"])
            openable = keys is not None and self.verified(found, keys) is not None
            if keys is not None and openable and not found.get("immutable"):  # last good versions too
                assert configmap.sealed_with(found["data"]) <= {keys.active}, name
        for name, obj in wanted.items():
            if not (obj["spec"].get("suspend") or self.cannot(key_of(name))):
                self.judge_one(obj, wanted, maps)

    def judge_one(self, obj: Obj, wanted: Mapping[str, Obj], maps: Mapping[str, Obj]) -> None:
        name, switch = obj["metadata"]["name"], obj["spec"]["switch"]
        gateway = self.accepted(obj)
        verdict = self.replica.world.gateways[key_of(name)].verdict
        assert verdict is not None
        if gateway is None:
            assert verdict.refusals
            return
        keys = self.usable_keys(switch)
        if keys is None:  # nothing can be written, and what was edited cannot be told from what was not
            assert verdict.failure is not None or verdict.refusals
            return
        if rivals := [other for other, rival in wanted.items() if self.wins(rival, obj, maps.get(other))]:
            assert [f.code for f in verdict.refusals] == ["GatewayNameTaken"], (name, rivals, verdict)
            return
        assert not verdict.refusals, (name, verdict)
        assert verdict.failure is None
        body = configmap.build(gateway, namespace=NAMESPACE, switch=switch, object_name=name, keys=keys)
        assert name in maps, f"{name} has no ConfigMap"
        found = maps[name]
        assert found["data"] == dict(body.data)
        assert found["metadata"]["labels"] == dict(body.labels)
        assert [o["uid"] for o in found["metadata"]["ownerReferences"]] == [obj["metadata"]["uid"]]
        assert not found.get("immutable")

    def usable_keys(self, switch: str) -> FleetKeys | None:
        """The keys of a fleet, if they are there and are its own."""
        fleet = FleetId(NAMESPACE, switch)
        record = self.replica.world.keys.get(fleet)
        if record is None or record.keys is None:
            return None
        return record.keys if self.replica.world.trusts(fleet, record.keys.revision.key_id) else None

    def wins(self, rival: Obj, obj: Obj, map_of_rival: Obj | None) -> bool:
        """Whether a rival has the name: older, and it asks for it, or it is refused and was last good for it."""
        a, b = rival["metadata"], obj["metadata"]
        if (a["creationTimestamp"], a["name"]) >= (b["creationTimestamp"], b["name"]) or rival["spec"].get("suspend"):
            return False
        name = obj["spec"]["switch"], obj["spec"]["gatewayName"]
        if self.accepted(rival) is not None:
            return (rival["spec"]["switch"], rival["spec"]["gatewayName"]) == name
        return map_of_rival is not None and self.verified(map_of_rival) == name

    def come_to_rest_again(self) -> None:
        """A new operator over what is as it should be: it writes nothing."""
        self.at_rest = True
        self.replica.close()
        self.replica = Replica(self.server)
        self.settle()

    def accepted(self, obj: Obj) -> Gateway | None:
        secret = self.server.find("secrets", "acme")
        views = {"acme": SecretView("acme", True, decoded(secret["data"]))} if secret else {}
        sip, _ = parse_sipgateway(obj)
        return None if sip is None else accept(sip, views)[0]


TestOperators = Operators.TestCase
TestOperators.settings = settings(
    max_examples=profiles.EXAMPLES[profiles.selected()][0] // 2, stateful_step_count=60, deadline=None
)
