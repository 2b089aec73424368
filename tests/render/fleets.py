"""Keys of a fleet that exists in tests only, ConfigMaps of it, and the MAC as docs/security.md describes it.

TEST KEYS: they are computed from their names, so they protect nothing. Never use them anywhere else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.spec import DirectoryUser, Subscription, Variable
from sipgateway.render.configmap import Body, Published, build, verify
from sipgateway.render.keys import FleetKeys, seal_key_id
from sipgateway.render.revision import RevisionKey
from tests.render.gateways import gateways

NAMESPACE, SWITCH, OBJECT, NAME = "voice", "default", "acme", "sipgateway-acme"


def test_key(name: str, size: int) -> bytes:
    """A key that everybody can compute."""
    return hashlib.shake_256(f"sipgateway TEST KEY {name}".encode()).digest(size)


test_key.__test__ = False  # type: ignore[attr-defined]  # pytest shall not take it for a test


def fleet_keys(name: str = "a") -> FleetKeys:
    """The keys of a test fleet."""
    seal = test_key(f"seal {name}", 64)
    return FleetKeys(RevisionKey(test_key(f"revision {name}", 32)), {seal_key_id(seal): seal}, seal_key_id(seal))


KEYS = fleet_keys()
#: While a seal key is exchanged: the new one is announced, then active.
ANNOUNCED = KEYS.with_new_seal(lambda size: test_key("another seal", size))
assert ANNOUNCED.following is not None
ROTATED = ANNOUNCED.activated(ANNOUNCED.following)

GATEWAY = Gateway(
    "acme",
    Target("external"),
    (
        Parameter("username", "alice", secret=True),
        Parameter("password", "TEST-password <&>", secret=True),
        Parameter("realm", "sip.example.com"),
        Parameter("proxy", "sip.example.com:5060"),
    ),
    (Variable("carrier", "Grüße & $${x}"), Variable("leg", "1", "inbound")),
    (Subscription("presence", 600, None, "application/pidf+xml", True),),
)

NAMES = st.one_of(st.just("acme"), st.from_regex(r"[A-Za-z0-9_.\-]{1,40}", fullmatch=True))
PROFILES = st.one_of(st.just("external"), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}", fullmatch=True))
USERS = st.one_of(st.none(), st.just(DirectoryUser("sip.example.com", "trunks")))


def publishable() -> st.SearchStrategy[Gateway]:
    """Any gateway whose names are acceptable; every other text of it is anything that XML can hold."""
    where = st.builds(Target, PROFILES, USERS)
    names = NAMES.filter(lambda name: name.lower() not in {"all", "_all_"})
    return st.builds(lambda gateway, name, target: replace(gateway, name=name, target=target), gateways(), names, where)


def built(gateway: Gateway = GATEWAY, keys: FleetKeys = KEYS, /, **place: str) -> Body:
    """The ConfigMap of a gateway."""
    at = {"namespace": NAMESPACE, "switch": SWITCH, "object_name": OBJECT} | place
    return build(gateway, keys=keys, **at)


def verified(body: Body, keys: FleetKeys = KEYS, data: Mapping[str, str] | None = None, /, **place: str) -> Published:
    """A ConfigMap read at its place, or at another, or with other data."""
    at = {"namespace": NAMESPACE, "name": body.name, "switch": SWITCH} | place
    return verify(body.data if data is None else data, body.labels, keys=keys, **at)


def signed(data: Mapping[str, str], keys: FleetKeys = KEYS, /, **place: str) -> dict[str, str]:
    """Data with the MAC that the holder of the keys would give it. Written from docs/security.md, not from the code."""
    at = {"namespace": NAMESPACE, "switch": SWITCH, "name": NAME} | place
    parts = ["sipgateway/configmap/1", at["namespace"], at["switch"], at["name"], data["target.json"]]
    message = b""
    for part in (*parts, data["gateway.xml"]):
        message += len(part.encode()).to_bytes(8, "big") + part.encode()
    key = hmac.new(keys.revision.key, b"sipgateway config map mac", "sha256").digest()
    return {**data, "mac": f"1-{keys.revision.key_id}-{hmac.new(key, message, 'sha256').hexdigest()}"}
