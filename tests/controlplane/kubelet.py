"""The part of a kubelet, played by the tests. In: an admin's connection. Out: Pods, their status, their end.

Pods are bound to a node that does not exist: the API server allows it, and no scheduler or kubelet interferes.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.controlplane.api import STRATEGIC, Api

NODE = "node-of-the-tests"


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def create_pod(
    api: Api,
    namespace: str,
    name: str,
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    service_account: str = "default",
    containers: tuple[str, ...] = ("switch",),
    node: str | None = NODE,
    owner: dict[str, Any] | None = None,
    ready: bool | None = True,
) -> dict[str, Any]:
    """Creates a Pod and says that it runs.

    Args:
        api: The admin's connection.
        namespace: Where.
        name: The Pod's name.
        labels: Its labels.
        annotations: Its annotations.
        service_account: Whose tokens can be bound to it.
        containers: The names of its containers.
        node: Where it is bound to; None leaves it waiting to be scheduled.
        owner: An object whose Pod it is, such as a StatefulSet as the API gave it.
        ready: Whether its status then says ready; None leaves the status as it is after the creation: Pending.

    Returns:
        The Pod as the API server has it.
    """
    metadata: dict[str, Any] = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    if owner:
        reference = {k: owner[k] for k in ("apiVersion", "kind")} | {k: owner["metadata"][k] for k in ("name", "uid")}
        metadata["ownerReferences"] = [{**reference, "controller": True}]
    spec: dict[str, Any] = {
        "serviceAccountName": service_account,
        "containers": [{"name": c, "image": "registry.example.com/switch:test"} for c in containers],
    }
    if node:
        spec["nodeName"] = node
    pod: dict[str, Any] = api.create(_path(namespace), {"metadata": metadata, "spec": spec})
    return pod if ready is None else set_status(api, namespace, name, ready=ready)


def set_status(
    api: Api,
    namespace: str,
    name: str,
    *,
    phase: str = "Running",
    ready: bool = True,
    restarts: int = 0,
    address: str = "10.0.1.1",
    **more: Any,
) -> dict[str, Any]:
    """Says how a Pod is, as its kubelet does; `more` goes into the status as it is. Returns the Pod."""
    pod = api.get(_path(namespace, name))
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    runs = phase == "Running"
    state: dict[str, Any] = {"running": {"startedAt": now}} if runs else {"waiting": {"reason": "ContainerCreating"}}
    if phase in {"Succeeded", "Failed"}:
        state = {"terminated": {"exitCode": int(phase == "Failed"), "reason": phase, "finishedAt": now}}
    truth = {True: "True", False: "False"}
    conditions = {"PodScheduled": True, "Initialized": True, "ContainersReady": runs and ready, "Ready": runs and ready}
    status = {
        "phase": phase,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": pod.get("status", {}).get("startTime", now),
        "conditions": [{"type": t, "status": truth[v], "lastTransitionTime": now} for t, v in conditions.items()],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": runs and ready,
                "started": runs,
                "restartCount": restarts,
                "state": state,
            }
            for container in pod["spec"]["containers"]
        ],
    }
    answer: dict[str, Any] = api.patch(f"{_path(namespace, name)}/status", {"status": status | more}, STRATEGIC)
    return answer


def delete_pod(api: Api, namespace: str, name: str, *, grace: int = 0) -> None:
    """Deletes a Pod. With a grace it stays as terminating until a second call without one, as a kubelet's would be."""
    api.delete(_path(namespace, name), gracePeriodSeconds=grace)
