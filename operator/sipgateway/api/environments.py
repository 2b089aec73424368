"""The environments of a repository: `environments/environments.yaml`, read to frozen values. Pure.

In: a plain mapping. Out: `Environments`, or findings with field paths. The JSON schema comes from the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sipgateway.api.codes import environments as codes
from sipgateway.api.names import API_VERSION
from sipgateway.errors import Finding

KIND: Final = "Environments"
#: Where the folders of the environments are, and the file that says what they are.
FOLDER: Final = "environments"
FILE: Final = f"{FOLDER}/environments.yaml"

MAX_ENVIRONMENTS: Final = 32
_MAX_RULES, _MAX_NAMES = 64, 1024

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
#: Keys with dots or slashes, as those of labels, stand in brackets: `metadata.labels[example.com/carrier]`.
_PATH: Final = re.compile(
    r"(?:spec(?:\.[A-Za-z][A-Za-z0-9]*)+|metadata\.(?:labels|annotations)(?:\.[A-Za-z0-9_-]+|\[[A-Za-z0-9./_-]+\]))",
    re.ASCII,
)
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_TRAILER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Own:
    """Fields that belong to an environment: a promotion leaves them as they are there.

    Attributes:
        fields: paths, such as `spec.proxy` or `metadata.labels[example.com/carrier]`.
        names: of the SipGateways that this is about; empty for all.
        labels: that a SipGateway must have for this; empty for all.
    """

    fields: tuple[str, ...]
    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def concerns(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it is about this SipGateway."""
        return (not self.names or name in self.names) and all(labels.get(k) == v for k, v in self.labels)


@dataclass(frozen=True, slots=True)
class Gates:
    """What must be so before something goes from this environment to the next.

    Attributes:
        ready_for: seconds for which all gateways must have been Ready.
        approval: trailer by which somebody else than the author approves of a commit; empty when nobody has to.
        approval_tag: beginning of signed tags, `BEGINNING/ENVIRONMENT/...`, by which somebody else approves of what the
            environment has in the tagged commit; empty when nobody has to.
    """

    ready_for: int = 0
    approval: str = ""
    approval_tag: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment: the folder of its name.

    Attributes:
        namespace: of its SipGateways.
        context: of the kubeconfig; empty for the current one.
    """

    name: str
    namespace: str
    context: str = ""
    own: tuple[Own, ...] = ()
    gates: Gates = Gates()

    @property
    def folder(self) -> str:
        """Its path in the repository."""
        return f"{FOLDER}/{self.name}"

    def own_fields(self, name: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """The fields of a SipGateway that belong to it, in order, each once."""
        return tuple(dict.fromkeys(f for rule in self.own if rule.concerns(name, labels) for f in rule.fields))


@dataclass(frozen=True, slots=True)
class Environments:
    """All of them, in the order in which things are promoted."""

    all: tuple[Environment, ...]

    def find(self, name: str) -> Environment | None:
        """The one of this name."""
        return next((one for one in self.all if one.name == name), None)

    def before(self, one: Environment) -> Environment | None:
        """The one from which things are promoted to it."""
        at = self.all.index(one)
        return self.all[at - 1] if at else None


def read(document: object) -> tuple[Environments | None, tuple[Finding, ...]]:
    """Reads the file.

    Returns:
        The environments, None when something is wrong; and everything that is wrong.
    """
    reader = _Reader()
    found = reader.document(document)
    return (None if reader.findings else found), tuple(reader.findings)


class _Reader:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def document(self, document: object) -> Environments:
        body = self._mapping(document, "", ("apiVersion", "kind", "environments"), ("environments",))
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
            if body.get(key) != wanted:
                self._wrong(key, f"{key} must be {wanted}.")
        listed = self._list(body.get("environments"), "environments", MAX_ENVIRONMENTS)
        if not listed and not self.findings:
            self._wrong("environments", "there is no environment.")
        found = tuple(self._environment(one, f"environments[{at}]") for at, one in enumerate(listed))
        for key in ("name", "namespace"):
            seen: dict[str, int] = {}
            for at, one in enumerate(found):
                value = one.name if key == "name" else f"{one.context}/{one.namespace}"
                if value in seen:
                    self._wrong(f"environments[{at}].{key}", f"environments[{seen[value]}] has the same {key}.")
                seen.setdefault(value, at)
        return Environments(found)

    def _environment(self, value: object, path: str) -> Environment:
        body = self._mapping(value, path, ("name", "namespace", "context", "own", "gates"), ("name", "namespace"))
        rules = self._list(body.get("own"), f"{path}.own", _MAX_RULES)
        return Environment(
            self._word(body.get("name"), f"{path}.name", NAME),
            self._word(body.get("namespace"), f"{path}.namespace", NAME),
            self._text(body.get("context", ""), f"{path}.context"),
            tuple(self._own(rule, f"{path}.own[{at}]") for at, rule in enumerate(rules)),
            self._gates(body.get("gates"), f"{path}.gates"),
        )

    def _own(self, value: object, path: str) -> Own:
        body = self._mapping(value, path, ("fields", "names", "labels"), ("fields",))
        fields = self._list(body.get("fields"), f"{path}.fields", _MAX_NAMES)
        names = self._list(body.get("names"), f"{path}.names", _MAX_NAMES)
        labels = self._mapping(body.get("labels", {}), f"{path}.labels", None)
        return Own(
            tuple(self._word(one, f"{path}.fields[{at}]", _PATH) for at, one in enumerate(fields)),
            tuple(self._text(one, f"{path}.names[{at}]") for at, one in enumerate(names)),
            tuple((str(key), self._text(one, f"{path}.labels.{key}")) for key, one in labels.items()),
        )

    def _gates(self, value: object, path: str) -> Gates:
        if value is None:
            return Gates()
        body = self._mapping(value, path, ("readyFor", "approval", "approvalTag"))
        ready = body.get("readyFor", "0s")
        parts = _DURATION.fullmatch(ready) if isinstance(ready, str) and ready else None
        if parts is None:
            self._wrong(f"{path}.readyFor", "write a time such as 30m, 1h30m or 90s.")
        hours, minutes, seconds = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
        trailer, tag = (
            self._word(body[key], f"{path}.{key}", form) if body.get(key, "") != "" else ""
            for key, form in (("approval", _TRAILER), ("approvalTag", _TAG))
        )
        return Gates(hours * 3600 + minutes * 60 + seconds, trailer, tag)

    def _mapping(
        self, value: object, path: str, known: tuple[str, ...] | None, needed: tuple[str, ...] = ()
    ) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._wrong(path, "this is not a mapping (`key: value` lines).")
            return {}
        for key in value:
            if known is not None and key not in known:
                self._wrong(f"{path}.{key}".lstrip("."), f"there is no field {key!r}; known are {', '.join(known)}.")
        for key in needed:
            if key not in value:
                self._wrong(f"{path}.{key}".lstrip("."), "it is missing.")
        return value

    def _list(self, value: object, path: str, limit: int) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(path, "this is not a list (`- ` lines).")
            return []
        if len(value) > limit:
            self._wrong(path, f"{len(value)} entries; {limit} are taken.")
        return value[:limit]

    def _text(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            self._wrong(path, "this is not a text.")
            return ""
        return value

    def _word(self, value: object, path: str, form: re.Pattern[str]) -> str:
        if value is None:
            return ""  # it is missing, which is told already
        text = self._text(value, path)
        if text and not form.fullmatch(text):
            self._wrong(path, f"{text[:80]!r} is not of the form that is needed here.")
        return text

    def _wrong(self, field: str, what: str) -> None:
        self.findings.append(codes.BAD_ENVIRONMENTS.finding(field, what))


def schema() -> dict[str, Any]:
    """The JSON schema of the file, for editors."""
    texts = {"type": "array", "items": {"type": "string"}, "maxItems": _MAX_NAMES}
    own = {
        "type": "object",
        "additionalProperties": False,
        "required": ["fields"],
        "properties": {
            "fields": {
                "type": "array",
                "maxItems": _MAX_NAMES,
                "items": {"type": "string", "pattern": f"^{_PATH.pattern}$"},
                "description": "Paths of fields that stay as they are in this environment.",
            },
            "names": texts | {"description": "Names of the SipGateways that this is about; all, when it is not given."},
            "labels": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Labels that a SipGateway must have for this.",
            },
        },
    }
    gates = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "readyFor": {
                "type": "string",
                "pattern": f"^{_DURATION.pattern}$",
                "minLength": 1,
                "description": "How long all gateways must have been Ready before anything goes on from here: 30m.",
            },
            "approval": {
                "type": "string",
                "pattern": f"^{_TRAILER.pattern}$",
                "description": "Trailer with which somebody else than the author approves of a commit: Approved-by.",
            },
            "approvalTag": {
                "type": "string",
                "pattern": f"^{_TAG.pattern}$",
                "description": "Beginning of signed tags, such as approved/staging/2026-01-02, with which somebody "
                "else than the author approves of what the environment has in a commit: approved.",
            },
        },
    }
    environment = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "namespace"],
        "properties": {
            "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "Also that of its folder."},
            "namespace": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "Of its SipGateways."},
            "context": {"type": "string", "description": "Context of the kubeconfig; the current one by default."},
            "own": {
                "type": "array",
                "maxItems": _MAX_RULES,
                "items": own,
                "description": "What belongs to this environment: a promotion to it leaves it as it is.",
            },
            "gates": gates | {"description": "What must be so before anything is promoted from here."},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sipgateway environments",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "environments"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "environments": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ENVIRONMENTS,
                "items": environment,
                "description": "In the order in which things are promoted.",
            },
        },
    }
