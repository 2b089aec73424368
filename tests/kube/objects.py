"""SipGateways and Secrets as the API server sends them, made for tests that need no API server."""

from __future__ import annotations

import base64
from typing import Any


def sipgateway(name: str, *, version: int, generation: int = 1, uid: str | None = None, **spec: Any) -> dict[str, Any]:
    """A SipGateway that does not register, unless `spec` says so."""
    return {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {
            "name": name,
            "namespace": "voice",
            "uid": uid or f"uid-of-{name}",
            "resourceVersion": str(version),
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"register": False, "proxy": "sip.example.com", **spec},
    }


def secret(name: str, values: dict[str, bytes], *, version: int = 1) -> dict[str, Any]:
    """A Secret with credentials."""
    return {
        "metadata": {
            "name": name,
            "namespace": "voice",
            "uid": f"uid-of-secret-{name}",
            "resourceVersion": str(version),
            "labels": {"sipgateway.dev/credentials": "true"},
        },
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }
