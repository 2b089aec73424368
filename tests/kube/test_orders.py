"""Orders of events that once went wrong, each told step by step on the API server in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipgateway.render.keys import secret_name
from tests.kube.simulated import STREAMS, Replica, key_of
from tests.kube.test_convergence import Operators


@pytest.fixture
def all_of_them() -> Iterator[Operators]:
    """Users, others and an operator; in the end everything is judged as after any other order."""
    machine = Operators()
    yield machine
    machine.teardown()


def hear(replica: Replica, *streams: str) -> None:
    """Everything that these watches have to tell; of all watches without a name."""
    for stream in streams or STREAMS:
        while replica.behind(stream):
            replica.deliver(stream)


def finish(machine: Operators, name: str) -> None:
    """The look at one SipGateway goes on to its end."""
    key = key_of(name)
    while key in machine.replica.looks:
        call = machine.replica.looks[key].call
        if not call.carried_out:
            call.carry_out(machine.server)
        machine.replica.answer(key)


def sent(machine: Operators, name: str, method: str) -> None:
    """The look at one SipGateway goes on until such a request was carried out; its answer is still on the way."""
    key = key_of(name)
    if key not in machine.replica.looks:
        machine.replica.look(key)
    while True:
        call = machine.replica.looks[key].call
        if not call.carried_out:
            call.carry_out(machine.server)
        if call.method == method:
            return
        machine.replica.answer(key)
        if key not in machine.replica.looks:
            machine.replica.look(key)


def test_a_config_map_that_is_gone_before_its_creation_is_answered_is_made_again(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=False)
    hear(machine.replica)
    sent(machine, "g0", "POST")  # the keys
    finish(machine, "g0")
    hear(machine.replica)
    sent(machine, "g0", "POST")
    machine.meddle(name="g0", how="delete", gateway="x")
    machine.replica.list_all("config maps")  # the watch began anew, and tells of no deletion
    finish(machine, "g0")


def test_news_of_lost_labels_and_of_their_return_may_come_late(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    for label in ("app.kubernetes.io/name", "sipgateway.dev/switch"):
        machine.meddle(name="g0", how=label, gateway="x")
        hear(machine.replica)
        sent(machine, "g0", "PATCH")
        hear(machine.replica)
        finish(machine, "g0")
    assert key_of("g0") in machine.replica.world.config_maps


def test_who_learns_late_that_there_were_no_keys_does_not_forget_those_that_were_made_since(
    all_of_them: Operators,
) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=False)
    hear(machine.replica)
    sent(machine, "g1", "GET")  # 404
    sent(machine, "g0", "POST")  # the keys
    finish(machine, "g0")
    sent(machine, "g0", "POST")  # the ConfigMap
    finish(machine, "g0")
    machine.replica.answer(key_of("g1"))
    finish(machine, "g1")
    record = machine.replica.world.gateways[key_of("g1")]
    assert record.verdict is not None
    assert record.verdict.failure is None


@pytest.mark.parametrize("how", ["watch", "list"])
def test_keys_that_lost_their_label_before_their_creation_was_answered_get_it_back(
    all_of_them: Operators, how: str
) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=False)
    hear(machine.replica)
    sent(machine, "g0", "POST")
    machine.keys(how="label")
    if how == "watch":
        hear(machine.replica)
    else:
        machine.replica.list_all("keys")
    finish(machine, "g0")
    machine.settle()
    found = machine.server.find("secrets", secret_name("f0"))
    assert found is not None
    assert "sipgateway.dev/keys" in found["metadata"]["labels"]


def test_a_failure_is_forgotten_when_a_write_without_an_answer_was_done(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.apply("g0", {"suspend": True})
    machine.settle()
    machine.foreign(name="g0", labelled=True)
    machine.apply("g0", {"suspend": False})
    machine.settle()
    record = machine.replica.world.gateways[key_of("g0")]
    assert record.verdict is not None
    assert record.verdict.failure is not None
    machine.foreign(name="g0", labelled=True)  # it is removed
    hear(machine.replica)
    sent(machine, "g0", "POST")
    machine.replica.answer(key_of("g0"), lost=True)


def test_one_that_lost_its_name_and_its_owner_at_once_lets_go_of_the_name(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["y", "x", "x"], rested=True)
    machine.swap(one="g0", other="g2")  # g0 is the oldest: x is its own now
    machine.meddle(name="g1", how="owner", gateway="x")


def test_what_a_foreign_config_map_says_gives_its_sipgateway_no_name(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.foreign(name="g0", labelled=True)
    machine.begin(names=["x", "x"], rested=False)
    machine.apply("g0", {"proxy": "no proxy"})


def test_who_waits_for_a_name_behind_a_foreign_config_map_takes_nothing_apart(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "x"], rested=True)
    machine.foreign(name="g1", labelled=True)
    machine.trouble(how="kill", stream="keys")


def test_the_garbage_collector_may_be_faster_than_the_news_of_a_deletion(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.delete(name="g0")
    machine.collect_garbage()
    hear(machine.replica, "config maps")
    machine.replica.look(key_of("g0"))
    finish(machine, "g0")
    assert machine.server.find("configmaps", "sipgateway-g0") is None


def test_an_edit_and_back_while_a_write_is_under_way_is_no_drift(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.apply("g0", {"profile": "internal"})
    hear(machine.replica)
    sent(machine, "g0", "PATCH")
    machine.apply("g0", {"profile": "external"})
    hear(machine.replica)
    finish(machine, "g0")
    machine.settle()
    machine.only_drift_is_called_drift()


def test_suspended_and_resumed_is_no_drift(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    for suspend in (True, False):
        machine.apply("g0", {"suspend": suspend})
        machine.settle()
    machine.only_drift_is_called_drift()


def test_a_name_in_a_write_without_an_answer_is_nobodys_until_it_is_known_what_became_of_it(
    all_of_them: Operators,
) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.apply("g0", {"gatewayName": "z"})
    hear(machine.replica)
    sent(machine, "g0", "PATCH")
    machine.replica.answer(key_of("g0"), lost=True)
    machine.apply("g0", {"suspend": True})
    machine.apply("g1", {"gatewayName": "z"})
    hear(machine.replica, "gateways")
    machine.replica.look(key_of("g1"))
    finish(machine, "g1")


def test_a_read_that_is_answered_after_the_news_that_its_sipgateway_is_gone_brings_nothing_back(
    all_of_them: Operators,
) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.delete(name="g0")
    hear(machine.replica)
    machine.apply("g0", {})  # made again, and read before the watch tells of it
    sent(machine, "g0", "GET")
    machine.delete(name="g0")
    hear(machine.replica)
    finish(machine, "g0")
    assert key_of("g0") not in machine.replica.world.gateways


def test_a_last_good_version_that_somebody_broke_goes_when_its_sipgateway_is_suspended(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.secret("")
    machine.meddle(name="g0", how="edit", gateway="x")
    machine.settle()
    machine.apply("g0", {"suspend": True})
    machine.settle()
    assert machine.server.find("configmaps", "sipgateway-g0") is None


def test_a_new_operator_takes_nothing_away_for_a_config_map_that_it_has_not_verified(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.apply("g0", {"proxy": "no proxy"})
    machine.settle()
    machine.meddle(name="g0", how="forge", gateway="y")
    machine.trouble(how="kill", stream="keys")
    found = machine.server.find("configmaps", "sipgateway-g1")
    machine.replica.look(key_of("g1"))  # g0 is older, and its ConfigMap says that it has the name
    finish(machine, "g1")
    machine.settle()
    assert machine.server.find("configmaps", "sipgateway-g1") == found


def test_when_who_looks_for_lost_keys_goes_another_one_does(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.keys(how="lose")
    machine.settle()
    seeker = next(iter(machine.replica.world.keys.values())).seeker
    assert seeker is not None
    other = "g1" if seeker.name == "g0" else "g0"
    machine.delete(name=seeker.name)
    machine.meddle(name=other, how="delete", gateway="x")  # nothing is left that was made with them
    machine.settle()
    assert machine.server.find("configmaps", f"sipgateway-{other}") is not None


def test_nobody_loses_a_config_map_to_one_that_cannot_be_written(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.keys(how="lose")
    machine.apply("g0", {"gatewayName": "y"})
    machine.settle()
    assert machine.server.find("configmaps", "sipgateway-g1") is not None
    machine.keys(how="restore")


def test_who_waits_for_a_name_is_told_when_it_stays_with_one_that_is_refused_by_now(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "x"], rested=True)
    machine.meddle(name="g0", how="sipgateway.dev/switch", gateway="x")
    machine.trouble(how="kill", stream="keys")
    sent(machine, "g0", "PATCH")  # taken back
    machine.apply("g0", {"proxy": "no proxy"})
    hear(machine.replica, "gateways")
    while (key := key_of("g1")) in machine.replica.ready():
        machine.replica.look(key)  # g0 is refused and has nothing yet, so g1 is next
    finish(machine, "g0")


def test_a_deletion_of_ours_without_an_answer_is_no_drift(all_of_them: Operators) -> None:
    machine = all_of_them
    machine.begin(names=["x", "y"], rested=True)
    machine.swap(one="g0", other="g1")
    hear(machine.replica)
    sent(machine, "g0", "DELETE")  # it makes room
    machine.replica.answer(key_of("g0"), lost=True)
    machine.swap(one="g0", other="g1")
    machine.settle()
    machine.only_drift_is_called_drift()
