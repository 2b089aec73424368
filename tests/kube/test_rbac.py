"""Each right that is shipped is needed: without it something fails, and one can see what.

One operator serves a namespace for each right of the shipped Role: there this one is missing. The API server's audit
log says what the operator tried and was refused. In a namespace with all rights it is refused nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from sipgateway.render.keys import FleetKeys
from tests.controlplane.api import encoded
from tests.controlplane.operators import Operator
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd import install
from tests.kube.lab import Lab, Obj

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/{}"


@dataclass(frozen=True)
class Right:
    """One verb on one kind of object."""

    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def rights_of(rules: list[Obj]) -> list[Right]:
    return [Right(verb, resource) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]]


def without(rules: list[Obj], right: Right) -> list[Obj]:
    """The rules but for one right."""
    kept = []
    for rule in rules:
        verbs = [verb for verb in rule["verbs"] if right not in rights_of([rule]) or verb != right.verb]
        kept += [rule | {"verbs": verbs}] if verbs else []
    return kept


def shipped(file: str, name: str) -> list[Obj]:
    """The rules of a Role in a shipped file."""
    found = (m for m in install.shipped(install.INSTALL / file) if m.get("rules") and m["metadata"]["name"] == name)
    rules: list[Obj] = next(found)["rules"]
    return rules


ROLE = shipped("rbac-namespaced.yaml", "sipgateway-operator")
LEASE = shipped("operator.yaml", "sipgateway-operator-lease")


def needs_all(lab: Lab) -> Iterator[None]:
    """What makes the operator use each of its rights, step by step; a lab that has them all shows when each is done."""
    lab.secret("acme")
    lab.plane.api.create(
        lab.path("configmaps"), {"metadata": {"name": "sipgateway-foreign"}, "data": {"theirs": "yes"}}
    )
    keys = {name: encoded(value) for name, value in FleetKeys.generate(secrets.token_bytes).to_data().items()}
    lab.plane.api.create(lab.path("secrets"), {"metadata": {"name": "sipgateway-relabel-keys"}, "data": keys})
    yield
    lab.apply("plain")  # makes keys, a ConfigMap, a status, an Event
    lab.apply("foreign")  # its ConfigMap is somebody else's: a look at it
    lab.apply("relabel", switch="relabel")  # its keys have lost their label
    lab.apply("orphan")
    yield
    lab.edit("plain", proxy="sip.example.net")  # a patch
    lab.plane.api.delete(
        lab.path("sipgateways", "orphan"), propagationPolicy="Orphan"
    )  # its ConfigMap stays, until a look says that it is nobody's
    yield


def refused(lab: Lab, namespaces: set[str]) -> dict[str, set[Right]]:
    """What the operator was refused by RBAC, by namespace."""
    found: dict[str, set[Right]] = {namespace: set() for namespace in namespaces}
    for request in lab.plane.audit_requests(lab.user):
        if request.code == 403 and request.namespace in namespaces:
            resource = request.resource + (f"/{request.subresource}" if request.subresource else "")
            found[request.namespace].add(Right(request.verb, resource))
    return found


def test_without_any_one_of_its_rights_the_operator_fails_at_something(start_lab: Callable[..., Lab]) -> None:
    whole = start_lab()
    labs = {right: start_lab() for right in rights_of(ROLE)}
    assert len(labs) >= 20
    for right, lab in labs.items():
        path = ROLES.format(lab.namespace, "sipgateway-operator")
        lab.plane.api.patch(path, {"rules": without(ROLE, right)})
    everywhere = [whole, *labs.values()]
    steps = [needs_all(lab) for lab in everywhere]

    def step() -> None:
        for one in steps:
            next(one)

    step()
    where = [f"--namespace={lab.namespace}" for lab in everywhere]
    operator = whole.operators(whole.kubeconfig, *where, f"--lease-namespace={whole.namespace}")
    step()
    whole.wait_condition("plain", "Accepted", "True", seconds=60)
    whole.wait_config_map("orphan", seconds=60)
    whole.wait_config_map("relabel", seconds=60)
    whole.wait_event("plain", "Accepted", seconds=60)
    whole.wait_condition("foreign", "Programmed", "False", "ConfigMapNotWritten", seconds=60)
    namespaces = {lab.namespace: right for right, lab in labs.items()}

    def found() -> dict[str, set[Right]]:
        return refused(whole, {whole.namespace, *namespaces})

    def before_orphan() -> list[str]:
        """Where nothing was refused yet, and nothing is there that an orphan could leave behind."""
        seen = found()
        return [str(right) for right, lab in labs.items() if not seen[lab.namespace] and not lab.config_map("orphan")]

    wait_until(lambda: not before_orphan(), 60, lambda: f"neither done nor refused without {before_orphan()}")
    step()
    whole.wait_config_map("plain", lambda found: "example.net" in found["data"]["gateway.xml"])
    whole.wait_gone("orphan")

    def unseen() -> list[str]:
        seen = found()
        return [str(right) for namespace, right in namespaces.items() if not seen[namespace]]

    wait_until(lambda: not unseen(), 60, lambda: f"nothing failed without {unseen()}\n{operator.tail()}")
    seen = found()
    assert seen.pop(whole.namespace) == set()
    assert {namespace: {right} for namespace, right in namespaces.items()} == seen
    # And somebody who looks sees it: in the log, in a condition or in a metric.
    for right, lab in labs.items():
        assert told(operator, lab, right), f"nothing says that {right} is missing"
    whole.secret("later")  # the others are no trouble of the one that has all
    whole.apply("later", passwordFrom={"secretKeyRef": {"name": "later", "key": "password"}})
    whole.wait_condition("later", "Accepted", "True")


def told(operator: Operator, lab: Lab, right: Right) -> bool:
    """Whether the log or a condition speaks of a refusal in this namespace."""
    about = lab.namespace

    def look() -> bool:
        logged = (e["message"] for e in operator.logs())
        if any("forbidden" in text.lower() and about in text for text in logged):
            return True
        words = (c["message"] for name in ("plain", "foreign", "relabel") for c in lab.conditions(name).values())
        return any("forbidden" in text for text in words)

    try:
        wait_until(look, 30, lambda: str(right))
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("right", rights_of(LEASE), ids=str)
def test_without_a_right_to_its_lease_the_operator_ends_with_a_word(
    start_lab: Callable[..., Lab], right: Right
) -> None:
    lab = start_lab()
    path = ROLES.format(lab.namespace, "sipgateway-operator-lease")
    lab.plane.api.patch(path, {"rules": without(LEASE, right)})
    one = lab.start("--lease-seconds=3", wait=False)
    wait_until(lambda: not one.runs, 30, one.tail)
    assert one.returncode == 1
    last = one.logs()[-1]
    assert last["code"] == "LeaseForbidden"
    assert "forbidden" in last["message"]
    assert Right(right.verb, "leases") in refused(lab, {lab.namespace})[lab.namespace]


def test_with_all_of_them_it_is_refused_nothing_in_all_namespaces_either(
    start_control_plane: Callable[..., ControlPlane], start_lab: Callable[..., Lab]
) -> None:
    """The ClusterRole has the rights of the Role, and does for the same work; that each is needed was seen above."""
    assert shipped("rbac-cluster.yaml", "sipgateway-operator") == ROLE
    plane = start_control_plane()
    install.install_rbac(plane, cluster=True)
    labs = [start_lab(plane=plane) for _ in range(2)]
    bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings/sipgateway-operator"
    for lab in labs:
        plane.api.delete(bindings.format(lab.namespace))
    steps = [needs_all(lab) for lab in labs]
    for one in steps:
        next(one)
    first = labs[0]
    first.operators(first.kubeconfig, "--all-namespaces", f"--lease-namespace={first.namespace}")
    for lab, one in zip(labs, steps, strict=True):
        next(one)
        lab.wait_condition("plain", "Accepted", "True")
        lab.wait_config_map("orphan")
        lab.wait_config_map("relabel")
        lab.wait_event("plain", "Accepted")
        lab.wait_condition("foreign", "Programmed", "False", "ConfigMapNotWritten")
        next(one)
        lab.wait_config_map("plain", lambda found: "example.net" in found["data"]["gateway.xml"])
        lab.wait_gone("orphan")
    refusals = [r for r in plane.audit_requests(first.user) if r.code == 403]
    assert refusals == []
