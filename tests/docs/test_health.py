"""What Argo CD and Flux make of our statuses, by the rules that kstatus documents and by the snippet in docs/faq.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime  # type: ignore[import-untyped]

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


def argo_cd(obj: dict[str, Any]) -> dict[str, str]:
    """What the snippet in the FAQ answers in Lua 5.1, as in Argo CD without libraries that reach outside."""
    [snippet] = [s for s in re.findall(r"^```yaml\n(.*?)^```", FAQ, re.MULTILINE | re.DOTALL) if "resource." in s]
    [(key, text)] = yaml.safe_load(snippet)["data"].items()
    assert key == "resource.customizations.health.sipgateway.dev_SipGateway"
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    for library in ("io", "os", "debug", "package", "require", "dofile", "loadfile"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(obj, recursive=True)
    return dict(lua.execute(text))


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        (judge(gateway(), fleet(pod(), reports=(heard(),))), "Healthy"),
        (judge(gateway(registers=False), fleet(pod(), reports=(heard(),))), "Healthy"),
        (judge(gateway(), fleet(pod(), reports=(heard(problems=[REFUSED]),))), "Degraded"),
        (judge(gateway(), fleet(pod(), reports=(heard(problems=[TIMEOUT]),))), "Progressing"),
        (judge(gateway(), fleet()), "Progressing"),
        (judge(gateway(refusals=(finding(),), config_version=None), fleet(pod(), reports=(heard(),))), "Degraded"),
        (judge(gateway(suspended=True), fleet(pod(), reports=(heard(),))), "Suspended"),
    ],
    ids=["ready", "no REGISTER", "403", "408", "no pods", "refused", "suspended"],
)
def test_argo_cd_shows_what_works_what_is_on_its_way_and_what_a_person_must_mend(
    judgement: Judgement, expected: str
) -> None:
    told = [
        {
            "type": str(one.type),
            "status": str(one.status),
            "reason": one.reason,
            "message": one.message,
            "observedGeneration": 1,
        }
        for one in judgement.conditions
    ]
    seen = argo_cd({"metadata": {"generation": 1}, "status": {"conditions": told}})
    assert seen["status"] == expected
    assert seen["message"] in {one.message for one in judgement.conditions} - {""}
    stale = argo_cd({"metadata": {"generation": 2}, "status": {"conditions": told}})
    assert stale == {"status": "Progressing", "message": "waiting for the operator"}


@pytest.mark.parametrize("status", [None, {}, {"conditions": []}])
def test_argo_cd_waits_for_the_operator_where_nothing_is_said_yet(status: dict[str, Any] | None) -> None:
    obj: dict[str, Any] = {"metadata": {"generation": 1}} | ({} if status is None else {"status": status})
    assert argo_cd(obj) == {"status": "Progressing", "message": "waiting for the operator"}


def test_the_health_check_for_flux_names_our_kind() -> None:
    [snippet] = [s for s in re.findall(r"^```yaml\n(.*?)^```", FAQ, re.MULTILINE | re.DOTALL) if "healthChecks" in s]
    [check] = yaml.safe_load(snippet)["spec"]["healthChecks"]
    assert (check["apiVersion"], check["kind"]) == ("sipgateway.dev/v1alpha1", "SipGateway")
