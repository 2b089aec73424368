"""Manifests for the tests of this room: the smallest good ones, and changes to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sipgateway.api.names import API_VERSION, KIND
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView
from sipgateway.api.spec import SipGateway

Spec = dict[str, Any]


class _Gone:
    """A field that a change takes away."""

    def __repr__(self) -> str:
        return "GONE"


GONE: Final = _Gone()

PASSWORD: Final[Mapping[str, object]] = {"secretKeyRef": {"name": "acme", "key": "password"}}
USERNAME: Final[Mapping[str, object]] = {"secretKeyRef": {"name": "acme", "key": "username"}}

#: A registering gateway without any finding.
REGISTERING: Final[Mapping[str, object]] = {
    "username": "acme",
    "passwordFrom": PASSWORD,
    "proxy": "sip.example.com",
    "contactHost": "192.0.2.10",
}
#: A gateway for calls only, without any finding.
CALLS: Final[Mapping[str, object]] = {"register": False, "proxy": "sip.example.com"}


def changed(base: Mapping[str, object], **changes: object) -> Spec:
    """A spec with fields set, or taken away by GONE."""
    merged = {**base, **changes}
    return {field: value for field, value in merged.items() if value is not GONE}


def manifest(spec: object, *, name: str = "acme", namespace: str = "voice", **metadata: object) -> dict[str, Any]:
    """A whole SipGateway object."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }


def gateway(
    spec: Mapping[str, object], *, name: str = "acme", namespace: str = "voice", **metadata: object
) -> SipGateway:
    """A parsed SipGateway; fails when it cannot be parsed."""
    parsed, findings = parse_sipgateway(manifest(spec, name=name, namespace=namespace, **metadata))
    assert parsed is not None, findings
    return parsed


def secrets(
    password: bytes = b"correct horse", username: bytes = b"acme", *, labelled: bool = True
) -> dict[str, SecretView]:
    """The Secret that PASSWORD and USERNAME name."""
    return {"acme": SecretView("acme", labelled, {"password": password, "username": username})}
