"""The ConfigMap of a SipGateway: its body made, and a body verified back to a gateway and its file.

In: an effective gateway and the fleet's keys, or the data of a ConfigMap. Out: `Body`, the same bytes for the same
input, or `Published`. A MAC binds everything to name, namespace and fleet: before it is verified, nothing is parsed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import FIELD_MANAGER, LABEL_NAME, LABEL_NAME_VALUE, LABEL_SWITCH, OBJECT_PREFIX
from sipgateway.api.spec import DirectoryUser
from sipgateway.errors import Finding, InputError
from sipgateway.render import codes
from sipgateway.render.keys import FleetKeys
from sipgateway.render.proof import prove
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.seal import Place, SealError, seal, unseal
from sipgateway.render.sealedxml import SealedXmlError, read_sealed
from sipgateway.render.target import PublishedTarget, TargetError, read_target, target_of
from sipgateway.render.xml import RenderError, render, render_sealed

#: Entries of the ConfigMap's data.
XML = "gateway.xml"
TARGET = "target.json"
MAC = "mac"

#: The API server takes 1 MiB of data; the rest is left for what stands beside the XML.
MAX_XML = 1_000_000

_MAC_VERSION = b"sipgateway/configmap/1"
_MAC_FORMAT = re.compile(r"1-([0-9a-f]{8})-[0-9a-f]{64}", re.ASCII)
_SEALED_WITH = re.compile(r' sealed="([0-9a-f]{8}):', re.ASCII)
_LABEL_LENGTH = 63


class PublishedError(InputError):
    """A ConfigMap that must not reach a switch. Its finding never holds a secret.

    Attributes:
        unknown_key: id of the seal or revision key that it needs and that is not held; None when that is not the
            reason. Whoever gets it reads the fleet's Secret again, once.
    """

    def __init__(self, finding: Finding, unknown_key: str | None = None) -> None:
        super().__init__(finding)
        self.unknown_key = unknown_key


@dataclass(frozen=True, slots=True)
class Body:
    """What a ConfigMap shall hold.

    Attributes:
        data: its `data`.
        name: its `metadata.name`.
        switch: the fleet.
        labels: its labels.
        target: what its `target.json` says.
    """

    data: Mapping[str, str] = field(repr=False)
    name: str
    switch: str
    labels: Mapping[str, str]
    target: PublishedTarget


@dataclass(frozen=True, slots=True)
class Published:
    """What a verified ConfigMap wants of the switch.

    Attributes:
        gateway: the effective gateway, secret values in it.
        revision: what read-back must show.
        file: the file's content, proved; the same bytes that `xml.render` gives.
    """

    gateway: Gateway
    revision: str
    file: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The gateway's name on the switch."""
        return self.gateway.name

    @property
    def profile(self) -> str:
        """The profile that loads it."""
        return self.gateway.target.profile

    @property
    def directory(self) -> DirectoryUser | None:
        """Given, it stands in the directory section under this user."""
        return self.gateway.target.directory

    @property
    def registers(self) -> bool:
        """Whether it REGISTERs."""
        return self.gateway.registers


def config_map_name(object_name: str) -> str:
    """The name of the ConfigMap of the SipGateway of this `metadata.name`."""
    return f"{OBJECT_PREFIX}{object_name}"


def labels(object_name: str, switch: str) -> dict[str, str]:
    """The labels of a SipGateway's ConfigMap."""
    return {
        LABEL_SWITCH: switch,
        LABEL_NAME: LABEL_NAME_VALUE,
        "app.kubernetes.io/component": "gateway",
        "app.kubernetes.io/instance": object_name[:_LABEL_LENGTH].rstrip("-._"),
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
    }


def build(gateway: Gateway, *, namespace: str, switch: str, object_name: str, keys: FleetKeys) -> Body:
    """The ConfigMap of a gateway; both of its forms are proved before anybody sees it.

    Args:
        gateway: the effective gateway.
        namespace: of the SipGateway.
        switch: the fleet.
        object_name: `metadata.name` of the SipGateway.
        keys: the fleet's.

    Raises:
        RenderError: a value cannot be carried, or would not arrive as it is.
    """
    name = config_map_name(object_name)
    mark = revision(gateway, keys.revision)
    try:
        target = target_of(gateway, mark)
    except TargetError as error:
        raise RenderError(codes.UNSAFE_PATH.because("", f"{error} cannot stand in a path or a command.")) from None
    place = Place(namespace, switch, name, gateway.name)
    prove(gateway, mark, render(gateway, mark))
    xml = render_sealed(gateway, mark, lambda parameter, value: seal(keys, place, parameter, value))
    if len(xml) > MAX_XML:
        raise RenderError(codes.CONFIG_MAP_TOO_LARGE.because("spec", f"{len(xml)} bytes of {MAX_XML} that fit."))
    _prove_sealed(gateway, mark, xml, place, keys)
    data = {XML: xml.decode(), TARGET: target.to_json()}
    data[MAC] = _mac(keys.revision, namespace, switch, name, data)
    return Body(data, name, switch, labels(object_name, switch), target)


def verify(
    data: Mapping[str, str], labels: Mapping[str, str], *, namespace: str, name: str, switch: str, keys: FleetKeys
) -> Published:
    """What a ConfigMap wants of the switch, after everything in it was proved.

    Args:
        data: its `data`; entries of other names are ignored.
        labels: its labels.
        namespace: the one it was read from.
        name: its name.
        switch: the fleet that it is read for.
        keys: the fleet's.

    Raises:
        PublishedError: it must not reach a switch.
    """
    xml, text, mac = (_entry(data, entry) for entry in (XML, TARGET, MAC))
    if labels.get(LABEL_SWITCH) != switch:
        raise _malformed("it has no label of this fleet")
    if len(xml) > MAX_XML:
        raise _malformed("its XML is too large")
    if not hmac.compare_digest(_bytes(mac), _bytes(_mac(keys.revision, namespace, switch, name, data))):
        raise _forged(mac, keys)
    try:
        target = read_target(text)
        place = Place(namespace, switch, name, target.gateway)
        opened = read_sealed(
            _bytes(xml), target.target, lambda parameter, sealed: unseal(keys, place, parameter, sealed)
        )
    except TargetError as error:
        raise _malformed(f"{error} in {TARGET} is not as it should be") from None
    except SealedXmlError as error:
        raise _malformed(f"{error} in {XML} is not as it should be") from None
    except SealError as error:
        raise PublishedError(error.finding, error.unknown_key) from None
    gateway, mark = opened
    if target_of(gateway, mark) != target:
        raise _malformed(f"{TARGET} and {XML} contradict each other")
    if not hmac.compare_digest(_bytes(revision(gateway, keys.revision)), _bytes(mark)):
        raise _malformed("its revision is not that of what it holds")
    try:
        file = render(gateway, mark)
        prove(gateway, mark, file)
    except RenderError as error:
        raise PublishedError(error.finding) from None
    return Published(gateway, mark, file)


def peek(data: Mapping[str, str]) -> PublishedTarget:
    """What a ConfigMap says that it holds. Nothing is verified: it proves nothing.

    Raises:
        PublishedError: it cannot be read.
    """
    try:
        return read_target(_entry(data, TARGET))
    except TargetError as error:
        raise _malformed(f"{error} in {TARGET} is not as it should be") from None


def sealed_with(data: Mapping[str, str]) -> frozenset[str]:
    """The ids of the seal keys that are needed to open it; nothing is verified. A quote in a value is a reference."""
    return frozenset(_SEALED_WITH.findall(data.get(XML, "")))


def up_to_date(
    data: Mapping[str, str], labels: Mapping[str, str], body: Body, *, namespace: str, keys: FleetKeys
) -> bool:
    """Whether a ConfigMap needs no write: it is `body`, or means the same in the words of another release.

    Args:
        data: its `data` as it is.
        labels: its labels as they are; more than ours do no harm.
        body: what this release would write.
        namespace: of both.
        keys: the fleet's.
    """
    if not body.labels.items() <= labels.items():
        return False
    if data == body.data:
        return True
    if data.keys() != body.data.keys() or sealed_with(data) - {keys.active}:
        return False
    try:
        found = verify(data, labels, namespace=namespace, name=body.name, switch=body.switch, keys=keys)
    except PublishedError:
        return False
    return found.revision == body.target.revision


def resealed(
    data: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    namespace: str,
    switch: str,
    object_name: str,
    keys: FleetKeys,
) -> Body:
    """The same gateway sealed with the active key, for when its Secret is gone and only the seal still has the value.

    Raises:
        PublishedError: the ConfigMap does not verify.
        RenderError: as for `build`.
    """
    name = config_map_name(object_name)
    found = verify(data, labels, namespace=namespace, name=name, switch=switch, keys=keys)
    return build(found.gateway, namespace=namespace, switch=switch, object_name=object_name, keys=keys)


def _prove_sealed(gateway: Gateway, mark: str, xml: bytes, place: Place, keys: FleetKeys) -> None:
    """What the agent will read must be what went in."""
    try:
        found = read_sealed(xml, gateway.target, lambda parameter, sealed: unseal(keys, place, parameter, sealed))
    except (SealedXmlError, SealError):
        found = None
    if found != (gateway, mark):
        what = f"The sealed XML of {gateway.name} does not read back as it was meant."
        raise RenderError(codes.RENDER_NOT_PROVED.because("", what))


def _mac(key: RevisionKey, namespace: str, switch: str, name: str, data: Mapping[str, str]) -> str:
    """`1-KEYID-HEX` over everything, each part with its length before it, so that none can be taken for the next."""
    parts = [_MAC_VERSION, *(_bytes(part) for part in (namespace, switch, name, data[TARGET], data[XML]))]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    derived = hmac.digest(key.key, b"sipgateway config map mac", "sha256")
    return f"1-{key.key_id}-{hmac.digest(derived, framed, 'sha256').hex()}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _entry(data: Mapping[str, str], name: str) -> str:
    value: object = data.get(name)
    if not isinstance(value, str):
        raise _malformed(f"it has no entry {name}")
    return value


def _malformed(what: str) -> PublishedError:
    return PublishedError(codes.CONFIG_MAP_MALFORMED.because("", f"The ConfigMap cannot be used: {what}."))


def _forged(mac: str, keys: FleetKeys) -> PublishedError:
    """A MAC that does not verify; only one of our form is said to be of another key."""
    found = _MAC_FORMAT.fullmatch(mac)
    if found is None or found[1] == keys.revision.key_id:
        return PublishedError(codes.CONFIG_MAP_FORGED.because("", "The ConfigMap's MAC does not verify."))
    what = f"The ConfigMap's MAC is of key {found[1]}; the fleet's key here is {keys.revision.key_id}."
    return PublishedError(codes.CONFIG_MAP_FORGED.because("", what), found[1])
