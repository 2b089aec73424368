"""A namespace without an operator and without the admission policies: the tests write what an operator, or an enemy,
would.

In: a control plane. Out: a `Bare` place with the keys of a fleet, in which any ConfigMap can be written.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import LABEL_SWITCH
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, secret_name
from tests.agent_kube.pods import REGISTRAR
from tests.controlplane.plane import ControlPlane
from tests.kube.lab import PASSWORD
from tests.render.fleets import KEYS

API = "/apis/sipgateway.dev/v1alpha1"
SWITCH = "default"


class Bare:
    """One namespace, one fleet."""

    def __init__(self, plane: ControlPlane, *, keys: FleetKeys | None = KEYS) -> None:
        self.plane = plane
        self.namespace = plane.create_namespace()
        self.versions: dict[str, int] = {}
        if keys is not None:
            self.put_keys(keys)

    def path(self, plural: str, name: str = "") -> str:
        """URL path of a collection of this namespace, or of an object in it."""
        base = "/api/v1"
        if plural in {"sipgateways", "sipswitches"}:
            base = API
        if plural == "leases":
            base = "/apis/coordination.k8s.io/v1"
        return f"{base}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def find(self, plural: str, name: str) -> dict[str, Any] | None:
        """An object; None when there is none."""
        found: dict[str, Any] | None = self.plane.api.find(self.path(plural, name))
        return found

    def put_keys(self, keys: FleetKeys) -> None:
        """Writes the Secret of the fleet's keys."""
        data = {name: base64.b64encode(value).decode() for name, value in keys.to_data().items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret_name(SWITCH)}, "data": data}
        self.plane.api.apply(self.path("secrets", secret_name(SWITCH)), body)

    def sipgateway(self, name: str, **spec: Any) -> None:
        """Applies a SipGateway that does not register."""
        body = {
            "apiVersion": "sipgateway.dev/v1alpha1",
            "kind": "SipGateway",
            "metadata": {"name": name},
            "spec": {"register": False, "proxy": REGISTRAR} | spec,
        }
        self.plane.api.apply(self.path("sipgateways", name), body)

    def delete(self, plural: str, name: str) -> None:
        """Deletes an object."""
        self.plane.api.delete(self.path(plural, name))

    def write(
        self,
        name: str,
        data: Mapping[str, str],
        *,
        labels: Mapping[str, str] | None = None,
        binary: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Writes a ConfigMap with our labels, as it is."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": labels or configmap.labels(name, SWITCH)},
            "data": dict(data),
        } | ({"binaryData": dict(binary)} if binary else {})
        if self.find("configmaps", name) is not None:
            self.delete("configmaps", name)
        found: dict[str, Any] = self.plane.api.create(self.path("configmaps"), body)
        return found

    def body(self, gateway: Gateway, owner: str | None = None, keys: FleetKeys = KEYS) -> configmap.Body:
        """What the operator would write for a gateway."""
        return configmap.build(
            gateway, namespace=self.namespace, switch=SWITCH, object_name=owner or gateway.name, keys=keys
        )

    def publish(self, gateway: Gateway, owner: str | None = None, keys: FleetKeys = KEYS) -> str:
        """Writes the ConfigMap of a gateway, or changes it in place; returns the revision."""
        body = self.body(gateway, owner, keys)
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": body.name, "labels": dict(body.labels)},
            "data": dict(body.data),
        }
        self.plane.api.apply(self.path("configmaps", body.name), obj)
        return body.target.revision

    def unpublish(self, owner: str) -> None:
        """Deletes the ConfigMap of a SipGateway."""
        self.delete("configmaps", configmap.config_map_name(owner))

    def elsewhere(self, owner: str) -> None:
        """Takes the fleet's label off a ConfigMap."""
        name = configmap.config_map_name(owner)
        self.plane.api.patch(self.path("configmaps", name), {"metadata": {"labels": {LABEL_SWITCH: "other"}}})


def outbound(name: str, version: str = "1", *, profile: str = "external") -> Gateway:
    """A gateway that does not register."""
    found = (Parameter("proxy", REGISTRAR), Parameter("register", "false"), Parameter("extension", version))
    return Gateway(name, Target(profile), found)


def registering(name: str, version: str = "1", *, password: str = PASSWORD) -> Gateway:
    """A gateway that registers at the registrar of the tests."""
    found = (
        Parameter("username", name),
        Parameter("password", password, secret=True),
        Parameter("proxy", REGISTRAR),
        Parameter("extension", version),
        Parameter("retry-seconds", "5"),
    )
    return Gateway(name, Target("external"), found)


def renamed(gateway: Gateway, name: str) -> Gateway:
    """The same gateway under another name."""
    return replace(gateway, name=name)
