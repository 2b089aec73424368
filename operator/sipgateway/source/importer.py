"""From found gateways to manifests: Kubernetes names, Secrets for the passwords, and what stays behind.

In: `FoundGateway`s. Out: `Manifests`: one SipGateway (and Secret) each, with comments, and `LeftBehind` for gateways
that the switch does not load today either. Pure, and stable: the same gateways give the same manifests, in any order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sipgateway.api.accept import check, check_effective
from sipgateway.api.names import API_VERSION, KIND, LABEL_CREDENTIALS
from sipgateway.api.params import BY_FIELD
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView, resolve
from sipgateway.errors import Finding, Location, Severity
from sipgateway.source import codes
from sipgateway.source.documents import shown
from sipgateway.source.emit import comment, emit
from sipgateway.source.found import FoundGateway
from sipgateway.source.freeswitch import Imported, Note, translate, xml_path

_NOT_DNS = re.compile(r"[^a-z0-9.-]+")
_BAD_JOINTS = re.compile(r"[.-]*\.[.-]*")
_MAX_NAME = 240  # leaves room for the Secret's ending within 253
_SECRET_SUFFIX = "-credentials"
_PASSWORD_KEY = "password"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One imported gateway.

    Attributes:
        name: `metadata.name`.
        obj: the SipGateway object.
        secret: (Secret's name, key, password), None without a password.
        comments: manifest field -> what to say above it.
        findings: notes and refusals, with XML paths and places.
        refused: whether the rules for SipGateways refuse it, though the switch takes it.
    """

    name: str
    obj: Mapping[str, object]
    secret: tuple[str, str, str] | None = field(repr=False)
    comments: Mapping[str, Sequence[str]]
    findings: tuple[Finding, ...]
    refused: bool

    def text(self) -> str:
        """The SipGateway as YAML, with its comments and without any password."""
        return emit(self.obj, self.comments)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A gateway that is not imported, because the switch does not load it."""

    name: str
    place: Location
    finding: Finding

    def text(self) -> str:
        """A comment that says so."""
        return comment([f"Not imported: gateway {shown(self.name)}, {self.place}: {self.finding.message}"])


@dataclass(frozen=True, slots=True)
class Manifests:
    """What became of all gateways, in the order of their names."""

    manifests: tuple[Manifest, ...]
    left_behind: tuple[LeftBehind, ...]
    namespace: str | None

    def secrets(self) -> Mapping[str, str]:
        """Secrets as YAML by name. The only texts that hold passwords."""
        values: dict[str, dict[str, str]] = {}
        for manifest in self.manifests:
            if manifest.secret is not None:
                name, key, password = manifest.secret
                values.setdefault(name, {})[key] = password
        return {name: self._secret(name, data) for name, data in sorted(values.items())}

    def _secret(self, name: str, data: Mapping[str, str]) -> str:
        return emit(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, **_in(self.namespace), "labels": {LABEL_CREDENTIALS: "true"}},
                "stringData": dict(data),
            }
        )


def import_gateways(
    found: Iterable[FoundGateway], *, secret_name: str | None = None, namespace: str | None = None
) -> Manifests:
    """Makes manifests.

    Args:
        found: gateways, those that the switch meets first first.
        secret_name: one Secret for all passwords, a key per gateway; None: a Secret per gateway.
        namespace: `metadata.namespace` of everything; None leaves it out.
    """
    translated = [translate(one) for one in found]
    doubles = duplicates(translated)
    kept: list[Imported] = []
    left: list[LeftBehind] = []
    for index, one in enumerate(translated):
        if index in doubles:
            left.append(LeftBehind(one.name, one.found.place, doubles[index]))
        elif one.not_loaded is not None:
            finding = codes.NOT_LOADED.finding(xml_path(one.name), f"the switch drops it: {one.not_loaded}.")
            left.append(LeftBehind(one.name, one.found.place, finding.at(one.found.place)))
        else:
            kept.append(one)
    names = object_names(one.name for one in kept)
    manifests = tuple(
        manifest(one, names[one.name], secret_name=secret_name, namespace=namespace)
        for one in sorted(kept, key=lambda one: one.name)
    )
    left.sort(key=lambda one: (one.name, one.place.file, one.place.line))
    return Manifests(manifests, tuple(left), namespace)


def duplicates(translated: Sequence[Imported]) -> Mapping[int, Finding]:
    """Index of each gateway whose name another has that the switch meets first -> what to say (facts 11, 12)."""
    first: dict[str, Imported] = {}
    found: dict[int, Finding] = {}
    # What no profile loads takes no name away from what one does.
    for index, one in sorted(enumerate(translated), key=lambda entry: entry[1].found.profile is None):
        if one.not_loaded is not None:
            continue
        other = first.setdefault(one.name, one)
        if other is one:
            continue
        if one.found.profile in {None, other.found.profile}:
            message = f"a gateway of that name stands at {other.found.place}; this one is ignored."
        else:
            message = (
                f"a gateway of that name stands at {other.found.place}, on profile {other.found.profile}; this one, on "
                f"profile {one.found.profile}, is a ghost that no command reaches."
            )
        found[index] = codes.DUPLICATE_GATEWAY.finding(xml_path(one.name), message).at(one.found.place)
    return found


def manifest(one: Imported, name: str, *, secret_name: str | None = None, namespace: str | None = None) -> Manifest:
    """The manifest of one gateway, judged by the rules for SipGateways."""
    spec: dict[str, object] = {"profile": one.spec["profile"]}
    if one.name != name:
        spec["gatewayName"] = one.name
    if one.found.profile is None:
        spec["suspend"] = True
    secret = None
    rest = {key: value for key, value in one.spec.items() if key != "profile"}
    before = [key for key in ("directory", "register", "username", "authUsername") if key in rest]
    spec |= {key: rest.pop(key) for key in before}
    if one.password is not None:
        secret = (secret_name or f"{name}{_SECRET_SUFFIX}", name if secret_name else _PASSWORD_KEY, one.password)
        spec["passwordFrom"] = {"secretKeyRef": {"name": secret[0], "key": secret[1]}}
    obj = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, **_in(namespace)},
        "spec": spec | rest,
    }
    refusals = _refusals(one, obj, secret)
    notes = [*one.notes, *_more_notes(one, name), *refusals]
    comments: dict[str, list[str]] = {"": [f"From {one.found.place}."]}
    for note in notes:
        refused = "" if note.finding.field.startswith("gateway[") else "REFUSED: "
        words = f"{refused}{note.finding.code}: {note.finding.message} {note.outcome}"
        comments.setdefault(_carried(note.field, obj), []).append(words)
    return Manifest(name, obj, secret, comments, tuple(note.finding for note in notes), bool(refusals))


def _more_notes(one: Imported, name: str) -> list[Note]:
    notes: list[Note] = []
    for profile in one.found.also:
        message = f"profile {profile} loads it too, which makes it a ghost there that no command reaches (fact 11)."
        finding = codes.DUPLICATE_GATEWAY.finding(xml_path(one.name), message).at(one.found.place)
        notes.append(Note(finding, outcome=f"It is imported for {one.found.profile} alone."))
    if one.found.profile is None:
        finding = codes.NO_PROFILE.finding(xml_path(one.name), "the switch does not load it today.")
        notes.append(Note(finding.at(one.found.place), "spec.suspend", "So it is suspended."))
    if one.name != name:
        message = f"{shown(one.name)} is no name for Kubernetes; the object is called {name}."
        finding = codes.NAME_CHANGED.finding(xml_path(one.name), message).at(one.found.place)
        notes.append(Note(finding, "spec.gatewayName"))
    return notes


def _refusals(one: Imported, obj: Mapping[str, object], secret: tuple[str, str, str] | None) -> list[Note]:
    """What a SipGateway may not say, though the switch takes it: for a person to decide."""
    return [
        Note(finding.at(origin_of(one, finding.field)[1]), finding.field)
        for finding in judge(obj, secret)
        if finding.severity is Severity.ERROR
    ]


def judge(obj: Mapping[str, object], secret: tuple[str, str, str] | None) -> tuple[Finding, ...]:
    """Everything that the rules for SipGateways say of an object and its password."""
    gateway, findings = parse_sipgateway(obj)
    if gateway is None:
        return findings
    views: dict[str, SecretView] = {}
    if secret is not None:
        name, key, password = secret
        views[name] = SecretView(name, labelled=True, data={key: password.encode("utf-8", "surrogatepass")})
    findings += check(gateway)
    effective, more = resolve(gateway, views)
    return findings + more + (check_effective(effective) if effective is not None else ())


def origin_of(one: Imported, path: str) -> tuple[str, Location]:
    """XML path within the gateway, and place, of what a field of the manifest comes from; the gateway's own else."""
    row = BY_FIELD.get(path.removeprefix("spec.").removesuffix("From"))
    while path:
        if path in one.origins:
            return one.origins[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return ("" if row is None else f"param[{row.xml}]"), one.found.place


def object_names(names: Iterable[str]) -> Mapping[str, str]:
    """Gateway name -> `metadata.name`: itself where it can be, else as near as possible, each another."""
    given = sorted(set(names))
    taken = {name for name in given if dns_name(name) == name}
    result = {name: name for name in taken}
    for name in given:
        if name in result:
            continue
        base = dns_name(name)
        candidate, number = base, 1
        while candidate in taken:
            number += 1
            candidate = f"{base[: _MAX_NAME - 12]}-{number}"
        taken.add(candidate)
        result[name] = candidate
    return result


def dns_name(name: str) -> str:
    """A DNS-1123 subdomain made of a gateway's name (RFC 1123 2.1)."""
    text = _BAD_JOINTS.sub(".", _NOT_DNS.sub("-", name.lower().replace("_", "-"))).strip(".-")
    if len(text) > _MAX_NAME:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        text = f"{text[: _MAX_NAME - 11].rstrip('.-')}-{digest}"
    return text or "gateway"


def _carried(path: str, obj: Mapping[str, object]) -> str:
    """The nearest field that the manifest has, so that no comment is lost."""
    while path:
        value: object = obj
        for key in re.findall(r"[^.\[\]]+", path):
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, Sequence) and not isinstance(value, str) and int(key) < len(value):
                value = value[int(key)]
            else:
                value = None
        if value is not None and path not in {"metadata", "spec"}:
            return path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return ""


def _in(namespace: str | None) -> Mapping[str, object]:
    return {} if namespace is None else {"namespace": namespace}
