"""The evidence table: what shows that a gateway is not wanted any more, and all that does not."""

from __future__ import annotations

from typing import Any

import pytest

from sipgateway.agent import evidence
from sipgateway.agent.evidence import Evidence, Kind
from sipgateway.cluster.client import ApiError

NOT_FOUND = 'sipgateways.sipgateway.dev "acme" not found'


def gateway(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "acme"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "proof"),
    [
        ({}, None),
        ({"switch": "default"}, None),
        ({"suspend": False}, None),
        ({"gatewayName": "acme"}, None),
        ({"profile": "internal"}, None),
        ({"suspend": True}, Evidence.SUSPENDED),
        ({"switch": "other"}, Evidence.ELSEWHERE),
        ({"gatewayName": "another"}, Evidence.RENAMED),
    ],
)
def test_what_a_sipgateway_says_of_its_gateway(spec: dict[str, Any], proof: Evidence | None) -> None:
    assert evidence.of_gateway(gateway(**spec), "acme", "default") is proof


def test_a_sipgateway_without_a_switch_is_for_the_default_one() -> None:
    assert evidence.of_gateway(gateway(), "acme", "other") is Evidence.ELSEWHERE


def test_a_sipgateway_that_is_about_to_be_deleted_is_still_there() -> None:
    dying = gateway()
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert evidence.of_gateway(dying, "acme", "default") is None


@pytest.mark.parametrize(
    ("error", "absent"),
    [
        (ApiError(404, "NotFound", NOT_FOUND), True),
        (ApiError(404, "NotFound", 'sipgateways.sipgateway.dev "other" not found'), False),
        (ApiError(404, "NotFound", "the server could not find the requested resource"), False),
        (ApiError(404, "NotFound", 'configmaps "acme" not found'), False),
        (ApiError(404, "Not Found", "404 page not found", is_status=False), False),
        (ApiError(404, "Not Found", NOT_FOUND, is_status=False), False),
        (ApiError(403, "Forbidden", NOT_FOUND), False),
        (ApiError(401, "Unauthorized", "Unauthorized"), False),
        (ApiError(410, "Expired", "too old resource version"), False),
        (ApiError(429, "TooManyRequests", "slow down"), False),
        (ApiError(500, "InternalError", NOT_FOUND), False),
        (ApiError(503, "ServiceUnavailable", "apiserver not ready"), False),
        (ApiError(0, "Unreachable", "connection refused"), False),
        (ApiError(0, "BadAnswer", NOT_FOUND), False),
    ],
)
def test_only_the_api_servers_own_word_says_that_a_sipgateway_is_not_there(error: ApiError, absent: bool) -> None:
    assert evidence.is_absent(error, "acme") is absent


def crd(*, conditions: dict[str, str] | None = None, **metadata: str) -> dict[str, Any]:
    found = {"NamesAccepted": "True", "Established": "True"} | (conditions or {})
    return {
        "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z", **metadata},
        "status": {"conditions": [{"type": t, "status": s} for t, s in found.items()]},
    }


@pytest.mark.parametrize(
    ("obj", "whole"),
    [
        (crd(), True),
        (crd(conditions={"Terminating": "False"}), True),
        (crd(deletionTimestamp="2026-01-02T00:00:00Z"), False),
        (crd(conditions={"Terminating": "True"}), False),
        (crd(conditions={"Established": "False"}), False),
        ({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}, False),
    ],
)
def test_a_crd_that_is_about_to_go_or_not_served_is_not_whole(obj: dict[str, Any], whole: bool) -> None:
    assert evidence.of_kind(obj) == Kind("2026-01-01T00:00:00Z", whole)


@pytest.mark.parametrize(
    ("kind", "born", "proves"),
    [
        (Kind("2026-01-01T00:00:00Z", True), "2026-01-01T00:00:01Z", True),
        (Kind("2026-01-01T00:00:00Z", True), "2026-01-01T00:00:00Z", False),
        (Kind("2026-01-02T00:00:00Z", True), "2026-01-01T00:00:00Z", False),
        (Kind("2026-01-01T00:00:00Z", False), "2026-01-02T00:00:00Z", False),
        (Kind("2026-01-01T00:00:00Z", True), "", False),
    ],
)
def test_an_absence_counts_only_under_a_crd_that_is_older_than_the_config_map(
    kind: Kind, born: str, proves: bool
) -> None:
    assert evidence.proves_absence(kind, born) is proves
