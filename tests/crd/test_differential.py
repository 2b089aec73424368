"""What the schema and CEL accept or refuse on a real API server is what the Python checks accept or refuse.

A difference fails with the manifest in the message. What counts as one stands in differences.py, which codes the API
server can show in judge.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from sipgateway.api.codes import CODES
from tests.api import strategies
from tests.api.builders import CALLS, changed, manifest
from tests.api.cases import CASES, Case
from tests.controlplane.plane import ControlPlane
from tests.crd.differences import difference
from tests.crd.judge import Judge
from tests.profiles import thorough


@pytest.fixture(scope="module")
def judge(control_plane: ControlPlane) -> Judge:
    """The API server that is asked."""
    return Judge(control_plane.api, "default")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_both_say_the_same_of_each_case(case: Case, judge: Judge) -> None:
    assert not difference(judge, manifest(case.spec, name=case.name, namespace="default"))


@thorough
@given(spec=strategies.specs())
def test_both_say_the_same_of_specs_that_are_mostly_good(judge: Judge, spec: dict[str, Any]) -> None:
    assert not difference(judge, manifest(spec, namespace="default"))


@thorough
@given(spec=strategies.broken())
def test_both_say_the_same_of_specs_that_are_broken_somewhere(judge: Judge, spec: dict[str, Any]) -> None:
    assert not difference(judge, manifest(spec, namespace="default"))


@given(spec=strategies.specs(dirt=False), name=strategies.object_names)
def test_both_say_the_same_of_names(judge: Judge, spec: dict[str, Any], name: str) -> None:
    assert not difference(judge, manifest(spec, name=name, namespace="default"))


@given(spec=strategies.specs(dirt=False))
def test_what_is_made_to_be_good_is_accepted(judge: Judge, spec: dict[str, Any]) -> None:
    assert not {code for code, _ in judge(manifest(spec, namespace="default")).refusals} - _TOGETHER


#: Refusals of fields that are each good.
_TOGETHER = {
    "PingBounds",
    "PortMissing",
    "Rfc5626NeedsRegId",
    "RegIdNeedsRfc5626",
    "TransportContradiction",
    "ExtensionNotUser",
    "DigestTooLong",
    "RegisterNeedsUsername",
    "RegisterNeedsPassword",
}


def test_the_judge_hears_every_code_that_one_object_can_be_refused_for(judge: Judge) -> None:
    verdicts = [judge(manifest(case.spec, name=case.name, namespace="default")) for case in CASES]
    heard = {code for verdict in verdicts for code, _ in verdict.refusals}
    refusals = {code for case in CASES for code, _ in case.refusals}
    assert refusals - heard == {"LiteralPassword"}, "heard as UnknownField"
    assert heard <= {code.name for code in CODES}


def test_a_difference_is_told_with_the_manifest(judge: Judge) -> None:
    bad, good = (manifest(changed(CALLS, ping=ping), namespace="default") for ping in (4, 5))
    stricter = difference(lambda *_, **__: judge(bad), good)
    assert '"ping": 5' in stricter
    assert "API server: [('PingTooShort', 'spec.ping')]" in stricter
    assert "Python: []" in stricter
    laxer = difference(lambda *_, **__: judge(good), bad)
    assert '"ping": 4' in laxer
    assert "API server: []" in laxer
    assert "Python: [('PingTooShort', 'spec.ping')]" in laxer
