"""The ring: a SipGateway that is applied is loaded by the switches of its fleet, and its status says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.agent_kube.pods import REGISTRAR, SwitchPod
from tests.kube.lab import Lab

pytestmark = pytest.mark.timeout(240)


def test_what_is_applied_is_loaded_registered_and_ready(lab: Lab, start_pod: Callable[..., SwitchPod]) -> None:
    fleet = lab.new("ring")
    pod = start_pod(f"{fleet}-0", switch=fleet)
    lab.apply("one", switch=fleet, proxy=REGISTRAR)
    lab.wait_condition("one", "Ready", "True")
    published = lab.verified("one")
    assert pod.revision("one") == published.revision
    assert published.file in pod.files().values()
    assert pod.problems() == {}
    assert lab.get("sipgateways", "one")["status"]["registered"] == "1/1"
