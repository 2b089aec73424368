"""The dashboard over a real run: what operator and agents say while trunks live is asked by every query of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from sipgateway.render import configmap
from tests.controlplane import promtool
from tests.ring.fleet import Fleet
from tools import dashboard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def labelled(found: Mapping[str, float], namespace: str, pod: str) -> dict[str, float]:
    """As a scrape of that pod names the series."""
    own = f'namespace="{namespace}",pod="{pod}"'
    return {
        f"{name.removesuffix('}')},{own}}}" if name.endswith("}") else f"{name}{{{own}}}": value
        for name, value in found.items()
    }


def scrape(fleet: Fleet) -> dict[str, float]:
    seen = labelled(fleet.lab.operator.metrics(), "sipgateway-system", "operator-0")
    for pod in fleet.pods:
        seen |= labelled(pod.agent.metrics(), fleet.lab.namespace, pod.name)
    return seen


def test_no_query_comes_back_empty_and_each_says_what_was_done(fleet: Fleet, tmp_path: Path) -> None:
    program = promtool.find()
    good, bad, refused, secret = (fleet.lab.new(word) for word in ("good", "bad", "refused", "secret"))
    scrapes = [scrape(fleet)]
    fleet.apply(good)
    before = fleet.wait_everywhere(good)
    scrapes.append(scrape(fleet))

    fleet.lab.secret(secret, password="battery-staple")
    fleet.apply(bad, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    fleet.apply(refused, passwordFrom={"secretKeyRef": {"name": fleet.lab.new("no"), "key": "password"}})
    fleet.lab.wait_condition(refused, "Accepted", "False")
    fleet.wait(lambda: all(pod.problems("Registered").get(bad) for pod in fleet.pods), f"{bad} is refused everywhere")
    scrapes.append(scrape(fleet))

    fleet.lab.edit(good, variables=[{"name": "trunk_tier", "value": "gold"}])
    fleet.wait_everywhere(good, other_than=before.revision)
    # Somebody takes the gateway off one switch, and its ConfigMap away.
    fleet.pods[0].api(f"sofia profile external killgw {good}")
    fleet.lab.delete(configmap.config_map_name(good), "configmaps")
    fleet.wait(
        lambda: fleet.pods[0].agent.metrics()["sipgateway_agent_drift_repaired_total"] >= 1, "it is not repaired"
    )
    fleet.wait(lambda: fleet.lab.operator.metrics()["sipgateway_drift_repaired_total"] >= 1, "it is not put back")
    fleet.wait_everywhere(good)
    scrapes.append(scrape(fleet))

    queries = [query.replace("$namespace", ".*") for query in dashboard.queries()]
    answers = promtool.ask(program, scrapes, queries, tmp_path)
    assert [query for query, values in answers.items() if not values] == []
    assert [query for query, values in answers.items() if all(map(math.isnan, values))] == []

    def number(title: str) -> float:
        [panel] = [panel for row in dashboard.ROWS.values() for panel in row if panel.title == title]
        return answers[panel.queries[0][0].replace("$namespace", ".*")][0]

    assert (number("Ready"), number("Refused"), number("Unknown"), number("Acting")) == (1, 1, 0, 1)
    assert number("Not loaded") == 0
    assert 1 <= number("Not registered") <= 3  # one that is just being tried again is not counted
    assert number("Changed by hand") > 0
    # What was counted for the first time is an increase: replacements, a repair, carriers' refusals.
    [steps] = [query for query in queries if "steps_total" in query]
    [answered] = [query for query in queries if "register_answers" in query]
    assert sum(value > 0 for value in answers[steps]) >= 3, answers[steps]
    assert sum(value > 0 for value in answers[answered]) >= 2, answers[answered]


def test_a_query_without_series_comes_back_empty(tmp_path: Path) -> None:
    """So that the test before this one could fail."""
    asked = promtool.ask(
        promtool.find(), [{'one{pod="a"}': 3.0}, {'one{pod="a"}': 4.0}], ["two", 'one{pod=~".*"}'], tmp_path
    )
    assert asked == {"two": [], 'one{pod=~".*"}': [4.0]}
