"""The control plane of the tests is a real one: TLS, RBAC, bound tokens, garbage collection, restarts, 410."""

from __future__ import annotations

import contextlib
import functools
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import kubelet
from tests.controlplane.api import Access, Api, ApiError
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until

CONFIG_MAP = {"metadata": {"name": "a"}, "data": {"k": "v"}}


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def let_read_config_maps(plane: ControlPlane, namespace: str, account: str = "default") -> None:
    plane.kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=configmaps", "-n", namespace)
    who = f"--serviceaccount={namespace}:{account}"
    plane.kubectl("create", "rolebinding", "reader", "--role=reader", who, "-n", namespace)


def whoami(plane: ControlPlane, kubeconfig: Path) -> dict[str, Any]:
    answer = plane.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig).stdout
    user: dict[str, Any] = json.loads(answer)["status"]["userInfo"]
    return user


def code(call: Callable[[], object]) -> int:
    """What the API server answered: 200 or the refusal's code."""
    try:
        call()
    except ApiError as error:
        return error.code
    return 200


def test_it_is_there_with_our_kinds_and_the_clients_run(control_plane: ControlPlane) -> None:
    version = json.loads(control_plane.kubectl("version", "--output=json").stdout)
    assert version["serverVersion"]["gitVersion"].startswith("v1.")
    assert "sipgateways" in control_plane.kubectl("api-resources", "--api-group=sipgateway.dev").stdout
    assert "v4." in control_plane.helm("version").stdout
    assert control_plane.helm("list", "--all-namespaces", "--output=json").stdout.strip() == "[]"


def test_a_client_that_fails_says_what_it_was_told(control_plane: ControlPlane) -> None:
    with pytest.raises(AssertionError, match=r"(?s)kubectl get nonsense.*the server doesn't have a resource type"):
        control_plane.kubectl("get", "nonsense")


def test_who_does_not_know_the_authority_does_not_connect(control_plane: ControlPlane) -> None:
    stranger = ssl.create_default_context()
    api = Api(control_plane.admin)
    api._tls = stranger
    with pytest.raises(ssl.SSLCertVerificationError), api:
        api.get("/version")


def test_who_shows_no_certificate_and_no_token_is_nobody(control_plane: ControlPlane) -> None:
    with Api(Access(control_plane.admin.server, control_plane.admin.authority)) as nobody:
        assert code(lambda: nobody.get("/api/v1/namespaces")) == 403


def test_a_service_account_may_do_what_rbac_says_and_no_more(control_plane: ControlPlane, namespace: str) -> None:
    with control_plane.api_as(control_plane.kubeconfig_for(namespace, "default")) as account:
        assert code(lambda: account.get(config_maps(namespace))) == 403
        let_read_config_maps(control_plane, namespace)
        wait_until(lambda: code(lambda: account.get(config_maps(namespace))) == 200, 5, lambda: "the role does nothing")
        assert code(lambda: account.create(config_maps(namespace), CONFIG_MAP)) == 403
        assert code(lambda: account.get("/api/v1/secrets")) == 403


@pytest.mark.parametrize("seconds", [300, 3600])  # signed by us, and by the API server
def test_a_token_of_a_pod_names_it(control_plane: ControlPlane, namespace: str, seconds: float) -> None:
    pod = kubelet.create_pod(control_plane.api, namespace, "switch-0")
    user = whoami(control_plane, control_plane.kubeconfig_for(namespace, "default", pod="switch-0", seconds=seconds))
    assert user["username"] == f"system:serviceaccount:{namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["switch-0"]
    assert user["extra"]["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]


@pytest.mark.slow  # the API server remembers for ten seconds that a token was good
def test_a_token_ends_with_its_pod_its_account_and_its_time(control_plane: ControlPlane, namespace: str) -> None:
    kubelet.create_pod(control_plane.api, namespace, "switch-0")
    control_plane.kubectl("create", "serviceaccount", "passing", "-n", namespace)
    tokens = {
        "stays": control_plane.kubeconfig_for(namespace, "default", seconds=300),
        "pod": control_plane.kubeconfig_for(namespace, "default", pod="switch-0"),
        "our own of the pod": control_plane.kubeconfig_for(namespace, "default", pod="switch-0", seconds=300),
        "account": control_plane.kubeconfig_for(namespace, "passing"),
        "time": control_plane.kubeconfig_for(namespace, "default", seconds=5),
    }
    with contextlib.ExitStack() as stack:
        accounts = {name: stack.enter_context(control_plane.api_as(path)) for name, path in tokens.items()}

        def good() -> set[str]:
            return {name for name, account in accounts.items() if code(functools.partial(account.get, "/api")) == 200}

        assert good() == set(tokens)
        kubelet.delete_pod(control_plane.api, namespace, "switch-0")
        control_plane.kubectl("delete", "serviceaccount", "passing", "-n", namespace)
        wait_until(lambda: good() == {"stays"}, 30, lambda: f"good are {good()}")


def test_what_is_owned_goes_with_its_owner(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api
    gateways = f"/apis/sipgateway.dev/v1alpha1/namespaces/{namespace}/sipgateways"
    spec = {"proxy": "sip.example.com", "register": False}
    body = {"apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipGateway", "metadata": {"name": "acme"}, "spec": spec}
    owner = api.create(gateways, body)
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": "acme",
        "uid": owner["metadata"]["uid"],
    }
    api.create(config_maps(namespace), {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    api.create(config_maps(namespace), CONFIG_MAP)
    api.delete(f"{gateways}/acme")
    wait_until(
        lambda: api.find(f"{config_maps(namespace)}/owned") is None, 10, lambda: "the owned ConfigMap is still there"
    )
    assert api.find(f"{config_maps(namespace)}/a")


def test_every_namespace_has_the_authority_for_its_pods(control_plane: ControlPlane, namespace: str) -> None:
    path = f"{config_maps(namespace)}/kube-root-ca.crt"
    wait_until(lambda: control_plane.api.find(path) is not None, 10, lambda: "no kube-root-ca.crt")
    assert control_plane.api.get(path)["data"]["ca.crt"] == control_plane.admin.authority.read_text()


def test_the_audit_log_tells_who_did_what(control_plane: ControlPlane, namespace: str) -> None:
    user = f"system:serviceaccount:{namespace}:default"
    with control_plane.api_as(control_plane.kubeconfig_for(namespace, "default")) as account:
        code(lambda: account.get(f"/api/v1/namespaces/{namespace}/secrets", labelSelector="a=b"))
    wait_until(lambda: len(control_plane.audit_requests(user)) == 1, 5, lambda: "nothing in the audit log")
    (request,) = control_plane.audit_requests(user)
    assert (request.verb, request.resource, request.code) == ("list", "secrets", 403)
    assert "labelSelector=a%3Db" in request.uri


def test_every_version_of_an_object_is_recorded(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api
    with control_plane.record(config_maps(namespace), labelSelector="rec=yes") as recorder:
        api.create(config_maps(namespace), {"metadata": {"name": "b", "labels": {"rec": "yes"}}, "data": {"n": "0"}})
        for n in range(1, 20):
            api.patch(f"{config_maps(namespace)}/b", {"data": {"n": str(n)}})
            time.sleep(0.1)  # longer in all than one of the recorder's watches: it must go on without a gap
        api.delete(f"{config_maps(namespace)}/b")
        wait_until(lambda: len(recorder.events()) >= 21, 5, lambda: str(recorder.events()))
        events = recorder.events()
    assert [e["type"] for e in events] == ["ADDED", *["MODIFIED"] * 19, "DELETED"]
    assert [e["object"]["data"]["n"] for e in events] == [*map(str, range(20)), "19"]


def test_a_pod_is_what_its_kubelet_says(control_plane: ControlPlane, namespace: str) -> None:
    api = control_plane.api
    pod = kubelet.create_pod(api, namespace, "switch-0", labels={"sipgateway.dev/switch": "default"}, ready=None)
    assert pod["status"]["phase"] == "Pending"
    kubelet.set_status(api, namespace, "switch-0", ready=False, restarts=2)
    kubelet.set_status(api, namespace, "switch-0")
    control_plane.kubectl("wait", "--for=condition=Ready", "pod/switch-0", "-n", namespace, "--timeout=1s")
    kubelet.delete_pod(api, namespace, "switch-0", grace=30)
    assert "deletionTimestamp" in api.get(f"/api/v1/namespaces/{namespace}/pods/switch-0")["metadata"]
    kubelet.delete_pod(api, namespace, "switch-0")
    assert api.find(f"/api/v1/namespaces/{namespace}/pods/switch-0") is None


def test_a_namespace_goes_with_its_pods(control_plane: ControlPlane) -> None:
    name = control_plane.create_namespace()
    kubelet.create_pod(control_plane.api, name, "switch-0")
    control_plane.delete_namespace(name)
    wait_until(lambda: control_plane.api.find(f"/api/v1/namespaces/{name}") is None, 30, lambda: f"{name} stays")


def test_without_controllers_it_is_usable_and_deletes_nothing_by_itself(
    start_control_plane: Callable[..., ControlPlane],
) -> None:
    plane = start_control_plane(controllers=False, audit_policy=None)
    name = plane.create_namespace()
    kubelet.create_pod(plane.api, name, "switch-0")
    assert not plane.audit_log.exists()


def test_users_have_the_groups_of_their_certificates(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.kubeconfig_of_user("ada", "team-a")
    user = whoami(control_plane, kubeconfig)
    assert user["username"] == "ada"
    assert "team-a" in user["groups"]


def test_nothing_of_it_is_left_in_the_folder_for_temporary_files(
    start_control_plane: Callable[..., ControlPlane],
) -> None:
    plane = start_control_plane(controllers=False)
    folder: Path = plane.folder
    plane.close()
    assert not folder.exists()
    assert not plane.api_server.runs
    assert not plane.etcd.runs
