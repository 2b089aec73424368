"""Credentials come from labelled Secrets, and go nowhere but, sealed, into ConfigMaps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.canary import Canary
from tests.kube.lab import Lab, gateway
from tests.render.fleets import fleet_keys


def using(secret: str, key: str = "password", field: str = "passwordFrom") -> dict[str, Any]:
    return {field: {"secretKeyRef": {"name": secret, "key": key}}}


def parameters(lab: Lab, name: str) -> dict[str, str]:
    return {p.name: p.value for p in lab.verified(name).gateway.parameters}


def wait_password(lab: Lab, name: str, password: str) -> None:
    lab.wait_config_map(name, lambda found: password in {p.value for p in lab.verify(found).gateway.parameters})


def command_in(message: str) -> list[str]:
    """The kubectl command that a message tells, as arguments."""
    return message[message.index("kubectl ") :].partition(" An earlier")[0].rstrip(".").split()[1:]


def test_a_missing_secret_is_told_with_what_mends_it_and_its_coming_heals(lab: Lab) -> None:
    name, switch = lab.new("late"), lab.new("fleet")
    lab.apply(name, switch=switch, **using(name))
    condition = lab.wait_condition(name, "Accepted", "False", "SecretMissing")
    assert f"spec.passwordFrom.secretKeyRef.name: there is no Secret {name}" in condition["message"]
    lab.secret(name)
    lab.wait_condition(name, "Accepted", "True")
    assert parameters(lab, name)["password"] == "correct-horse"


def test_a_secret_without_the_label_is_not_used_and_the_command_in_the_message_mends_it(lab: Lab) -> None:
    name, switch = lab.new("bare"), lab.new("fleet")
    lab.secret(name, labelled=False)
    lab.apply(name, switch=switch, **using(name))
    condition = lab.wait_condition(name, "Accepted", "False", "SecretMissing")
    assert lab.config_map(name) is None
    lab.plane.kubectl(*command_in(condition["message"]))
    lab.wait_condition(name, "Accepted", "True")
    lab.wait_config_map(name)


def test_a_missing_key_is_told_with_the_keys_that_are_there_and_no_value(lab: Lab) -> None:
    name, switch = lab.new("nokey"), lab.new("fleet")
    lab.secret(name, user="alice-secret", pass_word="hunter2")
    lab.apply(name, switch=switch, **using(name))
    condition = lab.wait_condition(name, "Accepted", "False", "SecretKeyMissing")
    assert "(it has: pass_word, user)" in condition["message"]
    assert "hunter2" not in json.dumps(lab.get("sipgateways", name))
    lab.secret(name, password="hunter2")
    lab.wait_condition(name, "Accepted", "True")


def test_a_changed_secret_is_followed_by_all_that_use_it_and_by_no_other(lab: Lab) -> None:
    switch, secret = lab.new("fleet"), lab.new("shared")
    names, other = [lab.new("user") for _ in range(5)], lab.new("other")
    lab.secret(secret, password="first")
    lab.apply(other, switch=switch)
    before = lab.wait_config_map(other)
    for name in names:
        lab.apply(name, switch=switch, **using(secret))
    for name in names:
        wait_password(lab, name, "first")
    lab.secret(secret, password="second")
    for name in names:
        wait_password(lab, name, "second")
    assert lab.config_map(other) == before


def test_a_user_name_can_come_from_a_secret_too(lab: Lab) -> None:
    name, switch = lab.new("account"), lab.new("fleet")
    lab.secret(name, user="alice", password="hunter2")
    lab.apply(name, switch=switch, username=None, **using(name), **using(name, "user", "usernameFrom"))
    found = lab.wait_config_map(name)
    assert "alice" not in found["data"]["gateway.xml"]
    assert found["data"]["gateway.xml"].count('sealed="') == 2
    assert parameters(lab, name)["username"] == "alice"
    lab.secret(name, user="bob", password="hunter2")
    lab.wait_config_map(name, lambda found: "bob" in {p.value for p in lab.verify(found).gateway.parameters})


@pytest.mark.parametrize("how", ["deleted", "label removed", "key removed"])
def test_credentials_that_are_gone_stay_on_the_switch_and_the_status_says_so(lab: Lab, how: str) -> None:
    name, switch = lab.new("kept"), lab.new("fleet")
    lab.secret(name, password="first", spare="x")
    lab.apply(name, switch=switch, **using(name))
    before = lab.wait_config_map(name)
    match how:
        case "deleted":
            lab.delete(name, "secrets")
        case "label removed":
            lab.plane.kubectl("-n", lab.namespace, "label", "secret", name, "sipgateway.dev/credentials-")
        case _:
            lab.secret(name, spare="x")
    reason = "SecretKeyMissing" if how == "key removed" else "SecretMissing"
    condition = lab.wait_condition(name, "Accepted", "False", reason)
    assert "An earlier accepted version stays on the switches." in condition["message"]
    lab.wait_condition(name, "Programmed", "False", "HeldLastGood")
    lab.fence(switch)
    assert lab.config_map(name) == before
    lab.secret(name, password="first")
    lab.wait_condition(name, "Accepted", "True")
    assert lab.config_map(name) == before  # the same password gives the same bytes


def test_a_restart_without_the_secret_keeps_the_last_good_version(lab: Lab) -> None:
    name, switch = lab.new("restarted"), lab.new("fleet")
    lab.secret(name)
    lab.apply(name, switch=switch, **using(name))
    before = lab.wait_config_map(name)
    lab.operator.stop()
    lab.delete(name, "secrets")
    lab.operator.start()
    lab.wait_condition(name, "Programmed", "False", "HeldLastGood")
    lab.fence(switch)
    assert lab.config_map(name) == before


def test_a_secret_that_calls_itself_keys_under_another_name_is_ignored(lab: Lab) -> None:
    name, switch, secret = lab.new("true"), lab.new("fleet"), lab.new("false-keys")
    data = {key: value.decode("latin-1") for key, value in fleet_keys("forged").to_data().items()}
    lab.plane.kubectl(
        "-n", lab.namespace, "create", "secret", "generic", secret, *(f"--from-literal={k}=x" for k in data)
    )
    lab.plane.kubectl("-n", lab.namespace, "label", "secret", secret, f"sipgateway.dev/keys={switch}")
    lab.apply(name, switch=switch)
    lab.wait_config_map(name)
    assert lab.keys(switch).revision.key_id != fleet_keys("forged").revision.key_id
    lab.verified(name)


def test_a_secret_with_both_labels_serves_as_keys_only_under_the_keys_name(lab: Lab) -> None:
    """Else a gateway could be made to send the fleet's keys to a registrar: they carry no credentials label."""
    name, switch = lab.new("greedy"), lab.new("fleet")
    lab.apply(lab.new("first"), switch=switch)
    lab.wait(lambda: lab.find("secrets", f"sipgateway-{switch}-keys"), lambda: "no keys were made")
    lab.apply(name, switch=switch, **using(f"sipgateway-{switch}-keys", "seal-active"))
    lab.wait_condition(name, "Accepted", "False", "SecretMissing")
    assert lab.config_map(name) is None


def test_the_password_is_nowhere_but_in_the_users_secret(lab: Lab, canary: Canary) -> None:
    name, switch, rival = lab.new("canary"), lab.new("fleet"), lab.new("rival")
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": lab.namespace, "labels": {"sipgateway.dev/credentials": "true"}},
        "stringData": {"password": canary.password},
    }
    apply = ("apply", "--filename", "-")  # on the client's side: the password is in an annotation of the Secret then
    lab.plane.kubectl(*apply, stdin=json.dumps(manifest))
    annotations = lab.get("secrets", name)["metadata"]["annotations"]
    assert canary.password[4:-4] in annotations["kubectl.kubernetes.io/last-applied-configuration"]
    body = gateway(name, switch=switch, **using(name))
    body["metadata"]["namespace"] = lab.namespace
    lab.plane.kubectl(*apply, stdin=json.dumps(body))
    wait_password(lab, name, canary.password)
    lab.apply(rival, switch=switch, gatewayName=name, **using(name))
    lab.wait_condition(rival, "Accepted", "False", "GatewayNameTaken")
    lab.edit(name, proxy="sip.example.net")
    lab.wait_config_map(name, lambda found: "sip.example.net" in found["data"]["gateway.xml"])
    lab.delete(f"sipgateway-{name}", "configmaps")
    lab.wait_event(name, "ConfigMapRestored")
    manifest["stringData"] = {"password": f"{canary.password}\n"}
    lab.plane.kubectl(*apply, stdin=json.dumps(manifest))
    lab.wait_condition(name, "Accepted", "False", "SecretLineEnd")
    manifest["stringData"] = {"password": f"{canary.password}:x"}
    lab.plane.kubectl(*apply, stdin=json.dumps(manifest))
    lab.wait_condition(name, "Accepted", "False", "SecretCharacter")
    lab.delete(name, "secrets")
    lab.wait_condition(name, "Accepted", "False", "SecretMissing")
    lab.wait_event(name, "SecretMissing")
    assert_nowhere(lab, switch, canary)


def assert_nowhere(lab: Lab, switch: str, canary: Canary) -> None:
    """Looks wherever the operator writes, and at itself."""
    look = ("-n", lab.namespace)
    kinds = ("sipgateways", "configmaps", "events", "sipswitches", "pods", f"secret/sipgateway-{switch}-keys")
    seen = [lab.plane.kubectl(*look, "describe", "sipgateways,configmaps,events").stdout]
    seen += [lab.plane.kubectl(*look, "get", kind, "-o", "json", "--show-managed-fields").stdout for kind in kinds]
    seen += [json.dumps(r.event) for r in lab.plane.audit_requests(lab.user) if r.namespace == lab.namespace]
    seen += [lab.operator.get("/metrics")[1], lab.operator.log.read_text()]
    assert len("".join(seen)) > 20_000, "there was nothing to look at"
    canary.assert_absent(*seen)
    for text in seen:  # whatever quotes its punctuation, and as often as it likes
        assert canary.password[4:-4] not in text
    canary.assert_in_no_process_arguments()
