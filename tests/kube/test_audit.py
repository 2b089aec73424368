"""What the operator does on the API, by the word of the API server's audit log: no Secret that is none of its business.

RBAC cannot ask for a label selector: that it is always there is seen here, over all that the operators of this test
session have done so far, and over a scenario with Secrets that must not be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.canary import Canary
from tests.controlplane.audit import Request
from tests.controlplane.process import wait_until
from tests.kube.lab import Lab

SELECTORS = {"sipgateway.dev/credentials=true", "sipgateway.dev/keys"}
KEYS = re.compile(r"sipgateway-[a-z0-9.-]+-keys")


def unlawful(request: Request) -> bool:
    """Whether a request could have read a Secret without one of our labels, or written one that holds no keys."""
    if request.verb in {"list", "watch"}:
        selector = parse_qs(urlsplit(request.uri).query).get("labelSelector", [""])
        return selector[0] not in SELECTORS
    if request.verb == "create":
        return bool(request.name) and not KEYS.fullmatch(request.name)
    return KEYS.fullmatch(request.name) is None


def test_no_secret_without_our_labels_is_read(start_lab: Callable[..., Lab], canary: Canary) -> None:
    lab = start_lab()
    lab.secret("acme")
    lab.secret("private", labelled=False, password=canary.password)
    one = lab.start("--log-level=debug")
    # A SipGateway that wants a Secret which is not meant for that; fleets with and without keys; edits and their end.
    lab.apply("curious", passwordFrom={"secretKeyRef": {"name": "private", "key": "password"}})
    refusal = lab.wait_condition("curious", "Accepted", "False")
    assert "kubectl" in refusal["message"]
    lab.apply("acme")
    lab.wait_config_map("acme")
    lab.secret("acme", password="another")
    lab.edit("acme", proxy="sip.example.net")
    lab.wait_config_map("acme", lambda found: "sip.example.net" in found["data"]["gateway.xml"])
    lab.secret("acme", labelled=False)
    lab.wait_condition("acme", "Accepted", "False")
    lab.delete("acme")
    lab.wait_gone("acme")
    assert one.stop() == 0
    # The server writes a line after it has answered; a watch's second one when it ended.
    wait_until(lambda: len(secrets_of(lab)) >= 6, 10, lambda: "the audit log has little")
    found = secrets_of(lab)
    assert {r.verb for r in found} >= {"list", "watch", "get", "create"}
    assert [f"{r.verb} {r.uri}" for r in found if unlawful(r)] == []
    canary.assert_absent(one.log, json.dumps(lab.get("sipgateways", "curious")), json.dumps(lab.all("events")))


def secrets_of(lab: Lab) -> list[Request]:
    """What operators did with Secrets."""
    return [r for r in lab.plane.audit_requests(lab.user) if r.resource == "secrets"]
