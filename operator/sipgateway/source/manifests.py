"""From one file of manifests to SipGateways and Secrets, and what is wrong in it, with file and line.

In: the bytes of a YAML or JSON file (several documents, kind List). Out: `FileContents`. No I/O.
Objects of other kinds are passed over and noted. What cannot be read is never the same as what is not there: a broken
manifest whose name is known is `Broken`, and a file with anything in it that has no name is not `sound`.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from sipgateway.api import codes as api_codes
from sipgateway.api.names import API_VERSION, GROUP, KIND, LABEL_CREDENTIALS
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding, Location
from sipgateway.source import codes
from sipgateway.source.documents import Document, Parsed, is_ambiguous, read_documents, shown

_LISTS: Final = frozenset({"List", f"{KIND}List", "SecretList"})
_SECRET_FIELDS: Final = ("apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable")
_ITEM = re.compile(r"(items\[\d+\])\.")
#: All of a path but its last key; names of labels have dots in them.
_KEY = re.compile(r"^metadata\.(labels|annotations)\.|^.*\.(?!.*/)")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
#: Files of kustomize and Helm that stand beside manifests and may have no kind.
_NOT_MANIFESTS: Final = frozenset({"kustomization.yaml", "kustomization.yml", "Chart.yaml"})


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """One object as it stands in a file.

    Attributes:
        document: the document that holds it.
        prefix: its path there, `items[3]` in a List, empty else.
    """

    document: Document
    prefix: str = ""

    @property
    def obj(self) -> Mapping[str, object]:
        """The whole object, read anew from the text at each call."""
        value = self.document.read()
        for key in re.findall(r"[^.\[\]]+", self.prefix):
            if isinstance(value, list):
                value = value[int(key)]
            elif isinstance(value, Mapping):
                value = value[key]
        return value if isinstance(value, Mapping) else {}

    def start(self) -> Location:
        """Where the object begins; costs nothing outside of Lists."""
        return self.locate("") if self.prefix else Location(self.document.file, self.document.first)

    def locate(self, field: str) -> Location:
        """File and line of a field (`spec.variables[0].name`); of its nearest ancestor when it is not there."""
        return self.document.locate(self._path(field))

    def unquoted(self, field: str) -> str | None:
        """How a plain scalar is written that YAML does not take for a text; None for texts."""
        return self.document.unquoted(self._path(field))

    def _path(self, field: str) -> str:
        return f"{self.prefix}.{field}".strip(".") if self.prefix else field


@dataclass(frozen=True, slots=True, eq=False)
class SourcedGateway:
    """A SipGateway and where it stands.

    Attributes:
        memo: what `local.accepted` concluded from it, so that an unchanged manifest is judged once.
    """

    gateway: SipGateway
    manifest: Manifest
    memo: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SourcedSecret:
    """A Secret and where it stands. Its values show in no `repr`."""

    namespace: str
    secret: SecretView
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Broken:
    """A SipGateway that cannot be understood, but has a name.

    Attributes:
        gateway_name: the name on the switch as far as it can be read.
        findings: why, with locations.
    """

    namespace: str
    name: str
    gateway_name: str
    location: Location
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """An object of another kind."""

    kind: str
    location: Location


@dataclass(frozen=True, slots=True)
class FileContents:
    """What stands in one file.

    Attributes:
        findings: everything that is wrong, those of `broken` included.
        sound: False when something in the file has no name that can be read: it may be any gateway.
        plain: whether there is nothing but gateways in it; most files of a large source are like that.
    """

    gateways: tuple[SourcedGateway, ...] = ()
    secrets: tuple[SourcedSecret, ...] = ()
    broken: tuple[Broken, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    findings: tuple[Finding, ...] = ()
    sound: bool = True
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        other = self.secrets or self.broken or self.ignored or self.findings
        object.__setattr__(self, "plain", self.sound and not other)


def read_manifests(data: bytes, file: str) -> FileContents:
    """Reads all manifests of one file.

    Args:
        data: its bytes.
        file: path as the user gave it, `-` for standard input.
    """
    parsed, findings = read_documents(data, file)
    reader = _Reader(file)
    for document in parsed:
        reader.document(document)
    return FileContents(
        tuple(reader.gateways),
        tuple(reader.secrets),
        tuple(reader.broken),
        tuple(reader.ignored),
        (*findings, *reader.findings),
        sound=reader.sound and not findings,
    )


class _Reader:
    """Sorts the objects of one file by kind."""

    def __init__(self, file: str) -> None:
        self.gateways: list[SourcedGateway] = []
        self.secrets: list[SourcedSecret] = []
        self.broken: list[Broken] = []
        self.ignored: list[Ignored] = []
        self.findings: list[Finding] = []
        self.sound = True
        self._ambiguous: Mapping[str, Mapping[str, str]] = {}
        self._optional_kind = file.rpartition("/")[2] in _NOT_MANIFESTS

    def document(self, parsed: Parsed) -> None:
        self._ambiguous = _ambiguous_numbers(parsed.document) if parsed.ambiguous else {}
        self._object(parsed.value, Manifest(parsed.document), parsed)

    def _object(self, value: object, manifest: Manifest, parsed: Parsed) -> None:
        fields = value if isinstance(value, Mapping) else {}
        kind, version = fields.get("kind"), fields.get("apiVersion")
        items = fields.get("items")
        if kind in _LISTS and isinstance(items, list) and not manifest.prefix:
            for index, item in enumerate(items):
                self._object(item, Manifest(manifest.document, f"items[{index}]"), parsed)
        elif kind == KIND:
            self._gateway(fields, manifest, parsed)
        elif kind == "Secret" and isinstance(version, str) and "." not in version:
            self._secret(fields, manifest, parsed)
        elif not isinstance(kind, str) or not isinstance(version, str):
            self._nameless(fields, manifest)
        elif _is_meant_as_gateway(kind, version):
            action = f"Write apiVersion: {API_VERSION} and kind: {KIND}."
            message = f"there is no kind {shown(kind)} in {shown(version)} to read from files; did you mean {KIND}?"
            self._broken(fields, manifest, (codes.WRONG_KIND.finding("kind", message, action),))
        else:
            self.ignored.append(Ignored(shown(kind), manifest.locate("kind")))

    def _nameless(self, fields: Mapping[str, object], manifest: Manifest) -> None:
        if self._optional_kind and "kind" not in fields:
            self.ignored.append(Ignored("Kustomization", manifest.locate("")))
            return
        missing = [name for name in ("apiVersion", "kind") if not isinstance(fields.get(name), str)]
        what = " and ".join(missing) + (" is" if len(missing) == 1 else " are")
        message = f"{what} missing, so it is not a Kubernetes object." if fields else "this is not a Kubernetes object."
        self._broken(fields, manifest, (codes.NOT_AN_OBJECT.finding("", message),))

    def _gateway(self, fields: Mapping[str, object], manifest: Manifest, parsed: Parsed) -> None:
        gateway, found = parse_sipgateway(fields)
        findings = [*_label_findings(fields), *found]
        for path, number in self._ambiguous.get(manifest.prefix, {}).items():
            if all(finding.field != path for finding in findings):
                message = f"{shown(number)} is another number for kubectl than for other tools."
                findings.append(codes.AMBIGUOUS_NUMBER.finding(path, message))
        if gateway is None or findings or parsed.findings:
            self._broken(fields, manifest, (*parsed.findings, *findings))
        else:
            self.gateways.append(SourcedGateway(gateway, manifest))

    def _secret(self, fields: Mapping[str, object], manifest: Manifest, parsed: Parsed) -> None:
        findings: list[Finding] = [*_label_findings(fields)]
        secret = _read_secret(fields, findings)
        if parsed.findings or findings or secret is None:
            self.findings += (_placed(finding, manifest) for finding in (*parsed.findings, *findings))
        else:
            metadata = _mapping(fields.get("metadata"))
            self.secrets.append(SourcedSecret(_text(metadata.get("namespace")) or "default", secret, manifest))

    def _broken(self, fields: Mapping[str, object], manifest: Manifest, findings: tuple[Finding, ...]) -> None:
        placed = tuple(_placed(finding, manifest) for finding in findings)
        self.findings += placed
        metadata = _mapping(fields.get("metadata"))
        name = _text(metadata.get("name"))
        if not name:
            self.sound = False
            return
        gateway_name = _text(_mapping(fields.get("spec")).get("gatewayName")) or name
        namespace = _text(metadata.get("namespace")) or "default"
        self.broken.append(Broken(namespace, name, gateway_name, manifest.start(), placed))


def _is_meant_as_gateway(kind: str, version: str) -> bool:
    if version.partition("/")[0] == GROUP:
        return kind not in {"SipSwitch", "Environments"}
    return bool(difflib.get_close_matches(kind.lower()[:64], [KIND.lower()], cutoff=0.85))


def _placed(finding: Finding, manifest: Manifest) -> Finding:
    """The finding with its line, and in the words of YAML where YAML made the mistake possible."""
    if finding.location is not None:
        return finding
    if finding.code == api_codes.WRONG_TYPE.name and "a text" in finding.message.rpartition("not ")[2]:
        written = manifest.unquoted(finding.field)
        if written:
            taken = "a word for true or false" if written.isalpha() else "a number"
            key = _KEY.sub("", finding.field)
            finding = replace(
                finding,
                message=f"YAML takes the unquoted {shown(written)} for {taken}, not for a text.",
                action=f'Put it into quotes: {key}: "{shown(written)}".',
            )
    return finding.at(manifest.locate(finding.field))


def _label_findings(fields: Mapping[str, object]) -> Iterator[Finding]:
    """Labels and annotations are texts; `"true"` without quotes is the commonest mistake of all."""
    metadata = _mapping(fields.get("metadata"))
    for group in ("labels", "annotations"):
        for key, value in _mapping(metadata.get(group)).items():
            if not isinstance(value, str):
                kind = api_codes.WRONG_TYPE
                yield kind.finding(f"metadata.{group}.{key}", "this is not a text.", "Put the value into quotes.")


def _ambiguous_numbers(document: Document) -> Mapping[str, Mapping[str, str]]:
    """Prefix of an object (empty, or `items[3]`) -> field -> how its number is written."""
    found: dict[str, dict[str, str]] = {}
    for path, place in document.places().items():
        if place.unquoted and is_ambiguous(place.unquoted):
            item = _ITEM.match(path)
            prefix = item[1] if item else ""
            found.setdefault(prefix, {})[path[len(item[0]) :] if item else path] = place.unquoted
    return found


def _read_secret(fields: Mapping[str, object], findings: list[Finding]) -> SecretView | None:
    """The values of a Secret. Findings name keys, never values."""
    if fields.get("apiVersion") != "v1":
        findings.append(codes.BAD_SECRET.finding("apiVersion", "not a Secret's version.", "Write `apiVersion: v1`."))
    for key in fields:
        if key not in _SECRET_FIELDS:
            close = difflib.get_close_matches(key, _SECRET_FIELDS, n=1)
            action = f"Write {close[0]}." if close else "Remove it."
            findings.append(codes.BAD_SECRET.finding(shown(key), f"a Secret has no field {shown(key)}.", action))
    metadata = _mapping(fields.get("metadata"))
    name = _text(metadata.get("name"))
    if not name:
        findings.append(codes.BAD_SECRET.finding("metadata.name", "the Secret has no name.", "Add metadata.name."))
        return None
    values: dict[str, bytes] = {}
    for group, read in (("data", _base64), ("stringData", _utf8)):
        given = fields.get(group)
        if given is not None and not isinstance(given, Mapping):
            message = "this is not a mapping (`key: value` lines)."
            findings.append(codes.BAD_SECRET.finding(group, message))
            continue
        for key, value in _mapping(given).items():
            where = f"{group}.{key}"
            raw = read(value)
            if not _SECRET_KEY.fullmatch(key):
                findings.append(codes.BAD_SECRET.finding(group, f"{shown(key)} cannot be a key of a Secret."))
            elif raw is None and not isinstance(value, str):
                action = "Put the value into quotes."
                findings.append(codes.BAD_SECRET.finding(where, "the value is not a text.", action))
            elif raw is None:
                action = "Encode the value in base64, or write it as it is under stringData."
                findings.append(codes.BAD_SECRET.finding(where, "the value is not base64.", action))
            else:
                values[key] = raw
    labelled = _mapping(metadata.get("labels")).get(LABEL_CREDENTIALS) == "true"
    return SecretView(name, labelled, MappingProxyType(values))


def _base64(value: object) -> bytes | None:
    if value is None:
        return b""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _utf8(value: object) -> bytes | None:
    if value is None:
        return b""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
