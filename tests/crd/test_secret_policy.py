"""Of Secrets the operator writes none but the keys of a fleet; the policy is about nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipgateway.api.names import LABEL_CREDENTIALS, LABEL_KEYS
from tests.controlplane.api import Api
from tests.controlplane.plane import ControlPlane
from tests.crd.people import denied, keys_secret, operator, person, secrets

POLICY = "secrets.sipgateway.dev"


@pytest.fixture
def writer(guarded: ControlPlane) -> Iterator[Api]:
    """The operator."""
    with operator(guarded) as api:
        yield api


def test_the_operator_makes_and_changes_the_keys_of_a_fleet(writer: Api, voice: str) -> None:
    writer.create(secrets(voice), keys_secret())
    writer.patch(secrets(voice, "sipgateway-default-keys"), {"data": {"seal-1f2e3d4c": "AA=="}})


def test_the_operator_gives_keys_their_label_back(guarded: ControlPlane, writer: Api, voice: str) -> None:
    guarded.api.create(secrets(voice), keys_secret(labels={}))
    writer.patch(secrets(voice, "sipgateway-default-keys"), {"metadata": {"labels": {LABEL_KEYS: "default"}}})


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("sipgateway-default-keys", {}),
        ("sipgateway-default-keys", {LABEL_KEYS: "other"}),
        ("sipgateway--keys", {LABEL_KEYS: ""}),
        ("acme", {LABEL_KEYS: "default"}),
        ("acme", {LABEL_CREDENTIALS: "true"}),
    ],
)
def test_the_operator_makes_no_other_secret(writer: Api, voice: str, name: str, labels: dict[str, str]) -> None:
    told = denied(POLICY, writer.create, secrets(voice), keys_secret(name=name, labels=labels))
    assert "The operator writes no other Secrets than the keys of a fleet" in told
    assert f"This is {name}." in told


def test_the_operator_changes_no_secret_of_a_user(guarded: ControlPlane, writer: Api, voice: str) -> None:
    guarded.api.create(secrets(voice), keys_secret(name="acme", labels={LABEL_CREDENTIALS: "true"}))
    denied(POLICY, writer.patch, secrets(voice, "acme"), {"data": {"password": "AA=="}})
    denied(POLICY, writer.patch, secrets(voice, "acme"), {"metadata": {"labels": {LABEL_KEYS: "default"}}})


def test_people_write_their_secrets_and_restore_keys(guarded: ControlPlane, voice: str) -> None:
    with person(guarded, voice, "edit") as editor:
        editor.create(secrets(voice), keys_secret(name="acme", labels={LABEL_CREDENTIALS: "true"}))
        editor.create(secrets(voice), keys_secret())
        editor.patch(secrets(voice, "acme"), {"data": {"password": "AA=="}})
