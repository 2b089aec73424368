"""A namespace with an operator at work in it: what a test does to it, and what it waits for.

In: a control plane. Out: a `Lab`. The operator is a real process with the shipped rights and a token of its own
ServiceAccount, never an admin. Each lab has a Lease of its own, so that one of another module is not in its way.
"""

from __future__ import annotations

import base64
import copy
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, secret_name
from tests.controlplane import kubelet
from tests.controlplane.api import ApiError, encoded
from tests.controlplane.operators import Operator, Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd import install

Obj: TypeAlias = dict[str, Any]
T = TypeVar("T")

API = "/apis/sipgateway.dev/v1alpha1"
#: Seconds that anything may take on a machine that does much else.
PATIENCE = 20.0
#: What most gateways of the tests have for a password.
PASSWORD = "correct-horse"

_numbers = itertools.count(1)


class Lab:
    """One namespace, the operator in it, and those who use it."""

    def __init__(self, plane: ControlPlane, operators: Operators, namespace: str | None = None) -> None:
        """Makes the namespace, installs what is shipped, starts nothing yet.

        Args:
            plane: the control plane; it has our CRDs.
            operators: starts processes and ends them.
            namespace: an existing one to work in; None makes one.
        """
        self.plane = plane
        self.operators = operators
        self.namespace = namespace or plane.create_namespace()
        install.install_policies(plane)
        install.install_rbac(plane, namespaces=[self.namespace])
        install.apply(plane, list(_lease_rights(self.namespace)))
        self.kubeconfig = plane.kubeconfig_for(install.OPERATOR_NAMESPACE, install.OPERATOR_ACCOUNT)
        self._wait_for_rights()

    @property
    def user(self) -> str:
        """The operator's name, as the audit log has it."""
        return f"system:serviceaccount:{install.OPERATOR_NAMESPACE}:{install.OPERATOR_ACCOUNT}"

    @property
    def operator(self) -> Operator:
        """The operator that was started last."""
        return self.operators.started[-1]

    def start(self, *flags: str, wait: bool = True) -> Operator:
        """Starts an operator of this lab."""
        where = (f"--namespace={self.namespace}", f"--lease-namespace={self.namespace}", "--log-level=debug")
        return self.operators(self.kubeconfig, *where, *flags, wait=wait)

    def close(self) -> None:
        """Ends the operators, and the namespace."""
        self.operators.close()
        self.plane.delete_namespace(self.namespace)

    # Names

    @staticmethod
    def new(stem: str) -> str:
        """A name that no other test has."""
        return f"{stem}-{next(_numbers)}"

    def path(self, plural: str, name: str = "") -> str:
        """URL path of a collection of this namespace, or of an object in it."""
        base = API if plural in {"sipgateways", "sipswitches"} else "/api/v1"
        return f"{base}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    # Secrets

    def secret(
        self, name: str, *, labelled: bool = True, labels: Mapping[str, str] | None = None, **values: str
    ) -> Obj:
        """Makes or replaces a Secret with these values; without any, with PASSWORD as `password`."""
        data = {k: encoded(v) for k, v in (values or {"password": PASSWORD}).items()}
        marks = ({"sipgateway.dev/credentials": "true"} if labelled else {}) | dict(labels or {})
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": marks}, "data": data}
        answer: Obj = self.plane.api.apply(self.path("secrets", name), body)
        return answer

    def keys(self, switch: str) -> FleetKeys:
        """The keys of a fleet, as they stand in its Secret."""
        return FleetKeys.from_data(decoded(self.get("secrets", secret_name(switch))["data"]))

    # SipGateways

    def apply(self, name: str, *, labels: Mapping[str, str] | None = None, **spec: Any) -> Obj:
        """Applies a SipGateway that registers: what is not given is as in `gateway`."""
        body = gateway(name, **spec)
        body["metadata"]["labels"] = dict(labels or {})
        answer: Obj = self.plane.api.apply(self.path("sipgateways", name), body)
        return answer

    def edit(self, name: str, **spec: Any) -> Obj:
        """Changes fields of a SipGateway's spec; None removes one."""
        answer: Obj = self.plane.api.patch(self.path("sipgateways", name), {"spec": spec})
        return answer

    def delete(self, name: str, plural: str = "sipgateways", *, uid: str | None = None) -> None:
        """Deletes an object; with `uid` only that very one."""
        body = {"preconditions": {"uid": uid}} if uid else None
        self.plane.api.delete(self.path(plural, name), body)

    # Looking

    def find(self, plural: str, name: str) -> Obj | None:
        """An object; None when there is none."""
        found: Obj | None = self.plane.api.find(self.path(plural, name))
        return found

    def get(self, plural: str, name: str) -> Obj:
        """An object that must be there."""
        found: Obj = self.plane.api.get(self.path(plural, name))
        return found

    def all(self, plural: str, **query: Any) -> list[Obj]:
        """All objects of a kind."""
        return self.plane.api.list_all(self.path(plural), **query)[0]

    def config_map(self, name: str) -> Obj | None:
        """The ConfigMap of a SipGateway, None when there is none."""
        return self.find("configmaps", configmap.config_map_name(name))

    def verified(self, name: str) -> configmap.Published:
        """What the ConfigMap of a SipGateway wants of the switch, verified as an agent does."""
        found = self.config_map(name)
        assert found is not None, f"no ConfigMap of {name}"
        return self.verify(found)

    def verify(self, found: Obj, keys: FleetKeys | None = None) -> configmap.Published:
        """What a ConfigMap wants of the switch, verified as an agent does, under the fleet's keys as they are now."""
        labels = found["metadata"].get("labels") or {}
        switch = labels["sipgateway.dev/switch"]
        return configmap.verify(
            found.get("data") or {},
            labels,
            namespace=self.namespace,
            name=found["metadata"]["name"],
            switch=switch,
            keys=keys or self.keys(switch),
        )

    def conditions(self, name: str) -> dict[str, Obj]:
        """The conditions of a SipGateway by type."""
        found = self.find("sipgateways", name) or {}
        return {c["type"]: c for c in (found.get("status") or {}).get("conditions") or ()}

    def events(self, name: str) -> list[Obj]:
        """The Events about a SipGateway, the oldest first."""
        fields = f"involvedObject.name={name},involvedObject.kind=SipGateway"
        found = self.all("events", fieldSelector=fields)
        return sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))

    # Waiting

    def wait(self, what: Callable[[], T | None], told: Callable[[], str], seconds: float = PATIENCE) -> T:
        """What `what()` gives as soon as that is something true; on failure with what the operator logged."""
        found: list[T] = []

        def look() -> bool:
            one = what()
            if one:
                found.append(one)
            return bool(one)

        wait_until(look, seconds, lambda: f"{told()}\n{self._tail()}")
        return found[0]

    def wait_config_map(
        self, name: str, true: Callable[[Obj], bool] = lambda _: True, seconds: float = PATIENCE
    ) -> Obj:
        """The ConfigMap of a SipGateway, as soon as there is one and it is as wanted."""

        def look() -> Obj | None:
            found = self.config_map(name)
            return found if found is not None and true(found) else None

        return self.wait(look, lambda: f"ConfigMap of {name}: {short(self.config_map(name))}", seconds)

    def wait_gateway(self, name: str, gateway_name: str, seconds: float = PATIENCE) -> Obj:
        """The ConfigMap of a SipGateway, as soon as it carries this gateway name."""
        return self.wait_config_map(name, lambda found: carried(found) == gateway_name, seconds)

    def wait_gone(self, name: str, plural: str | None = None, seconds: float = PATIENCE) -> None:
        """Until a SipGateway has no ConfigMap; with `plural`, until that object is gone."""
        plural, full = (plural, name) if plural else ("configmaps", configmap.config_map_name(name))
        self.wait(lambda: self.find(plural, full) is None, lambda: f"{plural}/{full} is still there", seconds)

    def wait_condition(
        self,
        name: str,
        kind: str,
        status: str,
        reason: str | None = None,
        *,
        seconds: float = PATIENCE,
        generation: int | None = None,
    ) -> Obj:
        """A condition, as soon as it has this status (and reason), and speaks of the present generation."""

        def look() -> Obj | None:
            found = self.find("sipgateways", name)
            if found is None:
                return None
            about = generation or found["metadata"]["generation"]
            for one in (found.get("status") or {}).get("conditions") or ():
                if (one["type"], one["status"], one.get("observedGeneration")) != (kind, status, about):
                    continue
                if reason is None or one["reason"] == reason:
                    return dict(one)
            return None

        return self.wait(look, lambda: f"{name} has {json.dumps(self.conditions(name), indent=1)}", seconds)

    def wait_event(self, name: str, reason: str, seconds: float = PATIENCE) -> Obj:
        """An Event about a SipGateway with this reason, as soon as there is one."""

        def look() -> Obj | None:
            return next((e for e in self.events(name) if e["reason"] == reason), None)

        return self.wait(look, lambda: f"events of {name}: {[e['reason'] for e in self.events(name)]}", seconds)

    def fence(self, switch: str) -> None:
        """Returns when the operator has acted on what it was told of this fleet before: a probe went through it."""
        name = self.new("fence")
        self.apply(name, switch=switch, register=False, passwordFrom=None)
        self.wait(lambda: self.conditions(name), lambda: f"nobody looked at {name}")
        self.delete(name)
        self.wait_gone(name)

    # Pods and their agents

    def agent(self, pod: str, switch: str, **pod_options: Any) -> Agent:
        """A pod of a fleet, with an agent that has said nothing yet."""
        return Agent(self, pod, switch, **pod_options)

    def _wait_for_rights(self) -> None:
        """The admission policies name the operator, and the API server takes them over only after a moment."""
        probe = {"metadata": {"name": "probe", "labels": configmap.labels("probe", "probe")}}

        with self.plane.api_as(self.kubeconfig) as api:

            def allowed() -> bool:
                try:
                    api.create(self.path("configmaps"), probe, dryRun="All")
                except ApiError as error:
                    if error.code == 403:
                        return False
                    raise
                return True

            wait_until(allowed, PATIENCE, lambda: "the operator may not write ConfigMaps")

    def _tail(self) -> str:
        return "\n".join(operator.tail() for operator in self.operators.started[-2:])


class Agent:
    """A switch pod and what its agent says, with a real token that is bound to the pod."""

    def __init__(self, lab: Lab, pod: str, switch: str, *, ready: bool = True, **options: Any) -> None:
        self.lab, self.pod, self.switch = lab, pod, switch
        self._beats = itertools.count(1)
        account = install.install_agent_rbac(lab.plane, lab.namespace, switch)
        self.object = kubelet.create_pod(
            lab.plane.api,
            lab.namespace,
            pod,
            labels={"sipgateway.dev/switch": switch},
            service_account=account,
            containers=("switch", "sipgateway-agent"),
            ready=ready,
            **options,
        )
        self.kubeconfig = lab.plane.kubeconfig_for(lab.namespace, account, pod=pod)

    def report(self, **status: Any) -> Obj:
        """Writes the SipSwitch: all is well and everything observed, but for what is given."""
        meta = self.object["metadata"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": self.pod, "uid": meta["uid"]}
        body: Obj = {
            "apiVersion": "sipgateway.dev/v1alpha1",
            "kind": "SipSwitch",
            "metadata": {
                "name": self.pod,
                "labels": {"sipgateway.dev/switch": self.switch},
                "ownerReferences": [owner],
            },
        }
        said = {
            "heartbeat": f"2026-01-01T00:00:{next(self._beats) % 60:02d}Z",
            "agentVersion": "0.1.0",
            "switchVersion": "1.10.12",
            "phase": "Running",
            "observedResourceVersion": str(10**12),
            "sealKeys": [],
            "switch": {"reachable": True},
            "problems": [],
        } | status
        with self.lab.plane.api_as(self.kubeconfig) as api:
            api.apply(self.lab.path("sipswitches", self.pod), body, manager="sipgateway-agent")
            answer: Obj = api.patch(f"{self.lab.path('sipswitches', self.pod)}/status", {"status": said})
        return answer

    def settled(self, **status: Any) -> Obj:
        """Says it twice: only a heartbeat that changed shows that an agent lives."""
        self.report(**status)
        return self.report(**status)

    def gone(self) -> None:
        """The pod ends."""
        kubelet.delete_pod(self.lab.plane.api, self.lab.namespace, self.pod)


def gateway(name: str, **spec: Any) -> Obj:
    """A SipGateway that registers with the password of Secret `acme`; a field that is None is left out."""
    common: Obj = {
        "username": "4989123",
        "passwordFrom": {"secretKeyRef": {"name": "acme", "key": "password"}},
        "proxy": "sip.example.com:5060",
    }
    return {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {"name": name},
        "spec": {field: value for field, value in (common | spec).items() if value is not None},
    }


def carried(found: Obj) -> str | None:
    """The gateway name that a ConfigMap says that it carries."""
    try:
        return str(json.loads(found["data"]["target.json"])["gateway"])
    except (KeyError, TypeError, ValueError):
        return None


def decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    """A Secret's `data`, decoded."""
    return {name: base64.b64decode(value) for name, value in data.items()}


def short(obj: Obj | None) -> str:
    """An object as text, without managedFields."""
    if obj is None:
        return "none"
    shown = copy.deepcopy(obj)
    shown["metadata"].pop("managedFields", None)
    return json.dumps(shown, indent=1)


def _lease_rights(namespace: str) -> Iterable[Obj]:
    """The shipped Role of the Lease, for one in another namespace."""
    for manifest in install.rbac():
        if manifest["metadata"]["name"] == "sipgateway-operator-lease":
            manifest["metadata"]["namespace"] = namespace
            yield manifest
