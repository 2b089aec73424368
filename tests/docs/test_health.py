"""What Argo CD and Flux make of our statuses, by the rules that kstatus documents and by the snippet in docs/faq.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from sipgateway.api.conditions import REASONS, ConditionType
from sipgateway.reconcile.readiness import Judgement, judge
from tests.docs.pages import ROOT
from tests.reconcile.fleets import REFUSED, finding, fleet, gateway, heard, pod, problem

FAQ = (ROOT / "docs" / "faq.md").read_text()

TIMEOUT = problem("Registered", "RegistrarUnreachable", "acme", code=408)


def kstatus(generation: int, conditions: Iterable[dict[str, Any]]) -> str:
    """The rules for a kind that kstatus does not know, in its order: generation, Reconciling, Stalled, Ready."""
    by_type = {condition["type"]: condition for condition in conditions}
    if any(condition["observedGeneration"] != generation for condition in by_type.values()):
        return "InProgress"
    if by_type.get("Reconciling", {}).get("status") == "True":
        return "InProgress"
    if by_type.get("Stalled", {}).get("status") == "True":
        return "Failed"
    ready = by_type.get("Ready")
    return "Current" if ready is None or ready["status"] == "True" else "InProgress"


def conditions(judgement: Judgement, generation: int) -> list[dict[str, Any]]:
    return [
        {"type": str(one.type), "status": str(one.status), "observedGeneration": generation}
        for one in judgement.conditions
    ]


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        (judge(gateway(), fleet(pod(), reports=(heard(),))), "Current"),
        (judge(gateway(registers=False), fleet(pod(), reports=(heard(),))), "Current"),
        (judge(gateway(), fleet(pod(), reports=(heard(problems=[REFUSED]),))), "Failed"),
        (judge(gateway(), fleet(pod(), reports=(heard(problems=[TIMEOUT]),))), "InProgress"),
        (judge(gateway(), fleet()), "InProgress"),
        (judge(gateway(), fleet(pod(), reports=())), "InProgress"),
        (judge(gateway(refusals=(finding(),), config_version=None), fleet(pod(), reports=(heard(),))), "Failed"),
        (judge(gateway(suspended=True), fleet(pod(), reports=(heard(),))), "InProgress"),
    ],
    ids=["ready", "no REGISTER", "403", "408", "no pods", "silent", "refused", "suspended"],
)
def test_flux_waits_for_what_is_on_its_way_and_fails_on_what_a_person_must_mend(
    judgement: Judgement, expected: str
) -> None:
    assert kstatus(1, conditions(judgement, 1)) == expected
    assert kstatus(2, conditions(judgement, 1)) == "InProgress"


def test_the_health_check_for_argo_cd_names_conditions_and_reasons_that_there_are() -> None:
    [snippet] = [s for s in re.findall(r"^```yaml\n(.*?)^```", FAQ, re.MULTILINE | re.DOTALL) if "resource." in s]
    [(key, lua)] = yaml.safe_load(snippet)["data"].items()
    assert key == "resource.customizations.health.sipgateway.dev_SipGateway"
    assert set(re.findall(r'c\.type == "(\w+)"', lua)) <= {str(kind) for kind in ConditionType}
    assert set(re.findall(r'c\.reason == "(\w+)"', lua)) <= {reason.word for reason in REASONS}
    assert set(re.findall(r'status = "(\w+)"', lua)) == {"Degraded", "Healthy", "Suspended"}
    words = re.sub(r'"[^"]*"', "", lua)
    opened = len(re.findall(r"\b(?:if|for)\b", words))
    assert opened == len(re.findall(r"\bend\b", words))


def test_the_health_check_for_flux_names_our_kind() -> None:
    [snippet] = [s for s in re.findall(r"^```yaml\n(.*?)^```", FAQ, re.MULTILINE | re.DOTALL) if "healthChecks" in s]
    [check] = yaml.safe_load(snippet)["spec"]["healthChecks"]
    assert (check["apiVersion"], check["kind"]) == ("sipgateway.dev/v1alpha1", "SipGateway")
