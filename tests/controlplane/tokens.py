"""ServiceAccount tokens with any lifetime. In: the control plane's signing key. Out: what its TokenRequest would give.

The API server gives no token for less than ten minutes. One that ends within a test is signed here, by the same key and
with the same claims. The server believes a token for a minute after its `exp` (go-jose's leeway) and remembers for ten
seconds that one was good: so `exp` lies a minute before the end that was asked for, and a token in use ends up to ten
seconds after that.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://kubernetes.default.svc"
SHORTEST = 600  # seconds; the API server refuses less
LEEWAY = 60


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(key: ec.EllipticCurvePrivateKey, account: dict[str, Any], pod: dict[str, Any] | None, seconds: float) -> str:
    """A token (RFC 7519, ES256) for a ServiceAccount object, bound to a Pod object when there is one."""
    metadata = account["metadata"]
    bound: dict[str, Any] = {
        "namespace": metadata["namespace"],
        "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
    }
    if pod:
        bound["pod"] = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    now = time.time()
    claims = {
        "aud": [ISSUER],
        "exp": int(now + seconds) - LEEWAY,
        "iat": int(now) - LEEWAY - 1,
        "nbf": int(now) - LEEWAY - 1,
        "iss": ISSUER,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": bound,
        "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
    }
    head = _part(json.dumps({"alg": "ES256", "typ": "JWT"}).encode())
    body = head + b"." + _part(json.dumps(claims).encode())
    r, s = decode_dss_signature(key.sign(body, ec.ECDSA(hashes.SHA256())))
    return (body + b"." + _part(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()
