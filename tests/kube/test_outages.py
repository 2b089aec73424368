"""The API server goes away, hangs, forgets, or refuses: the operator waits, and goes on where the world is by then.

Each test has a lab of its own on one control plane that they break in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.api import Api, ApiError
from tests.controlplane.operators import Operator
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.kube.lab import Lab

#: A Lease that outlives what is done to the API server here, and one that does not.
LONG, SHORT = "--lease-seconds=600", "--lease-seconds=3"


@pytest.fixture
def lab(start_lab: Callable[..., Lab], module_control_plane: ControlPlane) -> Iterator[Lab]:
    one = start_lab(plane=module_control_plane)
    one.secret("acme")
    yield one
    for operator in one.operators.started:
        assert operator.noise() == []
        # What is expected to happen is told in words.
        assert [e for e in operator.logs() if "exception" in e] == []


def terms(operator: Operator) -> int:
    """How often it began to lead."""
    return sum(entry["message"].startswith("leading as") for entry in operator.logs())


def leads(operator: Operator) -> bool:
    return operator.metrics()["sipgateway_leader"] == 1


def wait_leads(operator: Operator, seconds: float = 20) -> None:
    wait_until(lambda: leads(operator) and operator.is_ready(), seconds, operator.tail)


def follows(lab: Lab) -> None:
    """The operator sees what is done to every kind of object, and acts on it."""
    name, secret = lab.new("probe"), lab.new("secret")
    lab.apply(name, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    lab.wait_condition(name, "Accepted", "False")
    lab.secret(secret)  # a Secret
    lab.wait_condition(name, "Accepted", "True")
    before = lab.wait_config_map(name)
    lab.edit(name, proxy="sip.example.net")  # a SipGateway
    lab.wait_config_map(name, lambda found: "sip.example.net" in found["data"]["gateway.xml"])
    lab.delete(before["metadata"]["name"], "configmaps")  # a ConfigMap
    lab.wait_config_map(name, lambda found: found["metadata"]["uid"] != before["metadata"]["uid"])
    lab.delete(name)
    lab.wait_gone(name)


def test_what_happened_while_the_watches_lost_their_place_is_seen(lab: Lab) -> None:
    """No event tells of it: all watches get 410, and a DELETED that was missed never comes again."""
    operator = lab.start(LONG)
    wait_leads(operator)
    for name in ("edited", "orphaned", "deleted", "unlabelled"):
        lab.secret(name)
        lab.apply(name, passwordFrom={"secretKeyRef": {"name": name, "key": "password"}})
        lab.wait_condition(name, "Accepted", "True")
    operator.pause()
    lab.edit("edited", proxy="sip.example.net")
    lab.apply("added")
    lab.delete("orphaned", "secrets")
    lab.secret("unlabelled", labelled=False)
    gone = lab.config_map("deleted")
    assert gone is not None
    lab.delete(gone["metadata"]["name"], "configmaps")
    lab.plane.expire_watches()
    operator.resume()
    lab.wait_config_map("edited", lambda found: "sip.example.net" in found["data"]["gateway.xml"])
    lab.wait_config_map("added")
    lab.wait_config_map("deleted")
    lab.wait_condition("orphaned", "Accepted", "False")
    lab.wait_condition("unlabelled", "Accepted", "False")
    assert terms(operator) == 1
    follows(lab)


@pytest.mark.parametrize("graceful", [True, False])
def test_an_api_server_that_restarts_is_waited_for(lab: Lab, graceful: bool) -> None:
    operator = lab.start(LONG)
    wait_leads(operator)
    follows(lab)
    lab.plane.api_server.restart(graceful=graceful)
    follows(lab)
    assert terms(operator) == 1


def test_what_went_while_the_api_server_was_away_is_seen(lab: Lab) -> None:
    """kopf lists anew and tells nobody what is not there any more."""
    operator = lab.start(LONG)
    wait_leads(operator)
    lab.apply("first", gatewayName="acme")
    lab.wait_condition("first", "Accepted", "True")
    lab.apply("second", gatewayName="acme")
    lab.wait_condition("second", "Accepted", "False")
    operator.pause()
    lab.delete("first")
    lab.plane.expire_watches()
    operator.resume()
    lab.wait_condition("second", "Accepted", "True")  # its name is free
    assert terms(operator) == 1


def test_without_an_api_server_it_leads_no_longer_than_its_lease_and_comes_back_by_itself(lab: Lab) -> None:
    operator = lab.start(SHORT)
    wait_leads(operator)
    lab.apply("before")
    lab.wait_config_map("before")
    lab.plane.api_server.stop()
    wait_until(lambda: not leads(operator), 10, operator.tail)
    assert operator.get("/healthz") == (200, "ok\n")
    wait_until(lambda: operator.get("/readyz")[0] == 503, 10, operator.tail)
    assert "does not answer" in operator.get("/readyz")[1]
    time.sleep(3)  # an outage has its length
    lines = len(operator.logs())
    assert lines < 40, operator.tail()
    lab.plane.api_server.start()
    wait_leads(operator)
    follows(lab)
    assert terms(operator) == 2


def test_while_the_api_server_hangs_nothing_is_written_after_the_deadline(lab: Lab) -> None:
    """Connections stay open and nobody answers, as when a machine is gone: only time tells."""
    operator = lab.start(SHORT)
    wait_leads(operator)
    lab.plane.api_server.pause()
    try:
        wait_until(lambda: not leads(operator), 10, operator.tail)
        assert operator.get("/healthz") == (200, "ok\n")
    finally:
        lab.plane.api_server.resume()
    wait_leads(operator, 40)
    follows(lab)


def test_a_server_that_hung_for_a_moment_deposes_nobody(lab: Lab) -> None:
    operator = lab.start(LONG)
    wait_leads(operator)
    lab.plane.api_server.pause()
    time.sleep(3)
    lab.plane.api_server.resume()
    follows(lab)
    assert terms(operator) == 1


def test_it_stops_though_the_api_server_hangs(lab: Lab) -> None:
    operator = lab.start(LONG)
    wait_leads(operator)
    lab.plane.api_server.pause()
    try:
        began = time.monotonic()
        assert operator.stop() == 0
        assert time.monotonic() - began < 12
    finally:
        lab.plane.api_server.resume()


def test_it_stops_though_the_api_server_is_gone(lab: Lab) -> None:
    operator = lab.start(LONG)
    wait_leads(operator)
    lab.plane.api_server.kill()
    try:
        began = time.monotonic()
        assert operator.stop() == 0
        assert time.monotonic() - began < 5
    finally:
        lab.plane.api_server.start()


def test_without_etcd_the_api_server_answers_with_errors_and_they_are_waited_out(lab: Lab) -> None:
    operator = lab.start(LONG)
    wait_leads(operator)
    lab.apply("before")
    lab.wait_config_map("before")
    lab.plane.etcd.pause()
    time.sleep(4)
    lab.plane.etcd.resume()
    lab.plane.etcd.wait_ready()
    lab.plane.api_server.wait_ready()
    follows(lab)
    lab.plane.etcd.restart(graceful=False)
    lab.plane.api_server.wait_ready()
    follows(lab)


@pytest.mark.slow
def test_a_token_that_was_replaced_is_taken_up_by_every_watch_and_every_write(lab: Lab) -> None:
    """The old one is not only expired: the API server that starts anew refuses it, to kopf too."""
    account = ("sipgateway-system", "sipgateway-operator")
    lab.kubeconfig = lab.plane.kubeconfig_for(*account, seconds=5)
    operator = lab.start(LONG)
    wait_leads(operator)
    with lab.plane.api_as(lab.kubeconfig) as old:
        lab.plane.kubeconfig_for(*account, path=lab.kubeconfig)
        wait_until(lambda: _refused(old), 20, lambda: "the old token is still good")
    lab.plane.api_server.restart()
    follows(lab)
    assert terms(operator) == 1


def _refused(api: Api) -> bool:
    try:
        api.get("/api")
    except ApiError as error:
        return error.code == 401
    return False
