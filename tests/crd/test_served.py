"""SipGateways as the API server serves them: defaults, unknown fields, status, columns, what `kubectl explain` says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sipgateway.api import limits
from sipgateway.api.crd import status_schema
from sipgateway.api.params import BY_FIELD, Kind
from sipgateway.api.parse import SPEC_FIELDS
from tests.api.builders import CALLS, PASSWORD, REGISTERING, changed
from tests.controlplane.api import ApiError
from tests.controlplane.plane import ControlPlane
from tests.crd.people import gateways
from tests.crd.table import manifest

READY = {
    "type": "Ready",
    "status": "False",
    "reason": "CredentialsRefused",
    "message": "403 Forbidden",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 1,
}
STATUS = {
    "observedGeneration": 1,
    "gatewayName": "acme_main",
    "registered": "1/2",
    "pods": {"wanted": 2, "programmed": 2, "registered": 1},
    "conditions": [READY],
}


@pytest.fixture
def acme(control_plane: ControlPlane, namespace: str) -> str:
    """The path of a SipGateway that is there."""
    control_plane.api.create(gateways(namespace), manifest(changed(REGISTERING), name="acme"))
    return gateways(namespace, "acme")


def test_only_fields_of_our_own_have_defaults(control_plane: ControlPlane, namespace: str) -> None:
    made = control_plane.api.create(gateways(namespace), manifest(changed(CALLS), name="acme"))
    assert made["spec"] == {
        **CALLS,
        "switch": "default",
        "profile": "external",
        "placement": "All",
        "suspend": False,
    }


def test_a_null_in_a_created_object_is_not_set(control_plane: ControlPlane, namespace: str) -> None:
    made = control_plane.api.create(gateways(namespace), manifest(changed(CALLS, ping=None, switch=None), name="acme"))
    assert "ping" not in made["spec"]
    assert made["spec"]["switch"] == "default"


def test_unknown_fields_are_all_told_when_asked_for(control_plane: ControlPlane, namespace: str) -> None:
    spec = changed(
        CALLS, **{"expire-seconds": 600, "passwort": "x", "variables": [{"name": "a", "value": "1", "leg": "b"}]}
    )
    with pytest.raises(ApiError) as caught:
        control_plane.api.create(gateways(namespace), manifest(spec, name="acme"), fieldValidation="Strict")
    assert caught.value.code == 400
    for field in ("spec.expire-seconds", "spec.passwort", "spec.variables[0].leg"):
        assert f'unknown field "{field}"' in str(caught.value)


def test_unknown_fields_are_dropped_otherwise(control_plane: ControlPlane, namespace: str) -> None:
    spec = changed(CALLS, **{"expire-seconds": 600, "variables": [{"name": "a", "value": "1", "leg": "b"}]})
    made = control_plane.api.create(gateways(namespace), manifest(spec, name="acme"), fieldValidation="Ignore")
    assert "expire-seconds" not in made["spec"]
    assert made["spec"]["variables"] == [{"name": "a", "value": "1"}]


def test_status_is_written_by_itself_and_changes_no_generation(control_plane: ControlPlane, acme: str) -> None:
    before = control_plane.api.get(acme)
    assert "status" not in before
    after = control_plane.api.patch(f"{acme}/status", {"status": STATUS, "spec": {"suspend": True}})
    assert after["status"] == STATUS
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] == 1
    changed_spec = control_plane.api.patch(acme, {"spec": {"suspend": True}, "status": {"registered": "2/2"}})
    assert changed_spec["status"] == STATUS
    assert changed_spec["metadata"]["generation"] == 2


#: What no status may say, and the status.
OUT_OF_BOUNDS: dict[str, dict[str, Any]] = {
    "fewer than no pods": {"pods": {"wanted": -1}},
    "more pods than 31 bits count": {"pods": {"wanted": 2**31}},
    "a long text of registered pods": {"registered": "1" * 25},
    "a gateway name of 256": {"gatewayName": "a" * 256},
    "a condition that is maybe so": {"conditions": [{**READY, "status": "Maybe"}]},
    "a condition without a reason": {"conditions": [{**READY, "reason": ""}]},
    "a reason of two words": {"conditions": [{**READY, "reason": "two words"}]},
    "a time in words": {"conditions": [{**READY, "lastTransitionTime": "yesterday"}]},
    "a condition without a message": {"conditions": [{k: v for k, v in READY.items() if k != "message"}]},
    "a condition twice": {"conditions": [READY, READY]},
    "17 conditions": {"conditions": [{**READY, "type": f"T{n}"} for n in range(17)]},
}


@pytest.mark.parametrize("status", OUT_OF_BOUNDS.values(), ids=OUT_OF_BOUNDS)
def test_a_status_out_of_its_bounds_is_refused(control_plane: ControlPlane, acme: str, status: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        control_plane.api.patch(f"{acme}/status", {"status": status})
    assert caught.value.code == 422


def test_two_writers_of_conditions_do_not_take_each_others_away(control_plane: ControlPlane, acme: str) -> None:
    name = {"apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipGateway", "metadata": {"name": "acme"}}
    for manager, kind in (("a", "Ready"), ("b", "Audited")):
        body = {**name, "status": {"conditions": [{**READY, "type": kind}]}}
        control_plane.api.apply(f"{acme}/status", body, manager=manager)
    assert [c["type"] for c in control_plane.api.get(acme)["status"]["conditions"]] == ["Ready", "Audited"]


def test_kubectl_get_shows_what_an_operator_asks_first(control_plane: ControlPlane, acme: str, namespace: str) -> None:
    control_plane.api.patch(f"{acme}/status", {"status": STATUS})
    head, row = _columns(control_plane, "sipgw", namespace)
    assert head == ["NAME", "SWITCH", "PROFILE", "READY", "REGISTERED", "REASON", "AGE"]
    assert row[:-1] == ["acme", "default", "external", "False", "1/2", "CredentialsRefused"]
    head, row = _columns(control_plane, "sgw", namespace, "-o", "wide")
    assert head[7:] == ["GATEWAY", "PROXY", "MESSAGE"]
    assert row[7:] == ["acme_main", "sip.example.com", "403 Forbidden"]


def test_kubectl_waits_for_a_condition(control_plane: ControlPlane, acme: str, namespace: str) -> None:
    wait = ("wait", "--for=condition=Ready", "--timeout=10s", "sipgateway/acme", "--namespace", namespace)
    control_plane.api.patch(f"{acme}/status", {"status": {"conditions": [{**READY, "status": "True"}]}})
    assert "condition met" in control_plane.kubectl(*wait).stdout


def test_the_category_lists_both_kinds(control_plane: ControlPlane, acme: str, namespace: str) -> None:
    listed = control_plane.kubectl("get", "telephony", "--namespace", namespace, "-o", "name").stdout.split()
    assert listed == ["sipgateway.sipgateway.dev/acme"]
    kinds = control_plane.kubectl("api-resources", "--categories=telephony", "-o", "name").stdout.split()
    assert kinds == ["sipgateways.sipgateway.dev", "sipswitches.sipgateway.dev"]


def test_the_largest_sipgateway_is_judged_within_the_api_servers_budget(
    control_plane: ControlPlane, namespace: str
) -> None:
    assert control_plane.api.create(gateways(namespace), manifest(_largest(), name="a" * 242), fieldValidation="Strict")


OBJECTS = (
    *("", "spec", "spec.directory", "spec.usernameFrom", "spec.usernameFrom.secretKeyRef", "spec.passwordFrom"),
    *("spec.passwordFrom.secretKeyRef", "spec.variables", "spec.subscriptions", "spec.extraParams"),
    *("status", "status.pods", "status.conditions"),
)


@pytest.fixture(scope="module")
def explained(control_plane: ControlPlane) -> dict[str, str]:
    """What `kubectl explain` says of each field, by its path, and of each object."""
    out: dict[str, str] = {}
    for path in OBJECTS:
        text = control_plane.kubectl("explain", f"sipgateway.{path}".rstrip(".")).stdout
        about, _, fields = text.partition("FIELDS:\n")
        out[path] = " ".join(about.partition("DESCRIPTION:")[2].split())
        for name, words in _fields(fields):
            out[f"{path}.{name}".lstrip(".")] = words
    return out


def test_kubectl_explains_every_field_in_sentences(explained: dict[str, str]) -> None:
    assert {path for path in explained if re.fullmatch(r"spec\.\w+", path)} == {
        f"spec.{field}" for field in SPEC_FIELDS
    }
    properties: Any = status_schema()["properties"]
    assert {path for path in explained if re.fullmatch(r"status\.\w+", path)} == {
        f"status.{field}" for field in properties
    }
    for path, words in explained.items():
        if path not in {"apiVersion", "kind", "metadata"}:  # Kubernetes' own
            assert len(words.split()) >= 3, path
            assert words.endswith((".", ")")), path


def test_kubectl_explains_what_a_parameter_does_its_default_and_its_hazard(
    control_plane: ControlPlane, explained: dict[str, str]
) -> None:
    for field, param in BY_FIELD.items():
        if not param.secret:
            words = explained[f"spec.{field}"]
            for part in (param.doc, param.hazard, f"In the XML: {param.xml}."):
                assert " ".join(part.split()) in words
    alone = " ".join(control_plane.kubectl("explain", "sipgateway.spec.expireSeconds").stdout.split())
    assert explained["spec.expireSeconds"] in alone
    assert "FIELD: expireSeconds <integer>" in alone


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^  (?=\w+\t)", text, flags=re.MULTILINE)[1:]:
        head, _, words = part.partition("\n")
        lines = [line for line in words.splitlines() if not line.startswith("  enum: ")]
        yield head.partition("\t")[0], " ".join(" ".join(lines).split())


def _columns(plane: ControlPlane, *what: str) -> list[list[str]]:
    kind, namespace, *options = what
    lines = plane.kubectl("get", kind, "--namespace", namespace, *options).stdout.splitlines()
    return [re.split(r" {2,}", line.strip()) for line in lines]


def _largest() -> dict[str, Any]:
    """A spec with every list full and every text as long as it may be, or nearly."""
    spec: dict[str, Any] = changed(REGISTERING, usernameFrom=None, rfc5626=True, regId=1)
    for field, param in BY_FIELD.items():
        if (
            param.kind is Kind.TEXT
            and not param.secret
            and param.refused is None
            and field not in spec
            and not param.choices
        ):
            spec[field] = "a" * 100 if field in {"authUsername", "realm"} else "a" * 63
    long = {"name": "~" * 128, "value": "\U0001f4de" * 2048}
    spec["variables"] = [
        {**long, "name": f"{n:03}{'~' * 125}", "direction": "outbound"} for n in range(limits.MAX_VARIABLES)
    ]
    spec["subscriptions"] = [{"event": f"{'e' * 60}{n:04}"} for n in range(limits.MAX_SUBSCRIPTIONS)]
    spec["extraParams"] = [
        {"name": f"{'x' * 60}{n:04}", "value": "\U0001f4de" * 1024} for n in range(limits.MAX_EXTRA_PARAMS)
    ]
    spec["passwordFrom"] = PASSWORD
    return spec
