"""What a promotion changes, gateway by gateway: three-way between what was promoted last, the source, the destination.

In: the manifests of a source environment as they were at the last promotion and as they are, and those of the
destination. Out: new contents of files, what changes in words, and refusals. No I/O.

What the source has changed since then arrives. Fields that belong to the destination never move. What only the
destination has changed stays as it is there; what both have changed is a conflict.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sipgateway.api.environments import Environment
from sipgateway.errors import Finding, InputError, Location
from sipgateway.promote import codes, text
from sipgateway.promote.text import Field, Manifest
from sipgateway.reconcile.impact import impact
from sipgateway.reconcile.plan import Kind, Step

#: Annotations that somebody writes into the cluster, not into a manifest.
_NOT_OURS: Final = ("kubectl.kubernetes.io/", "sipgateway.dev/commit", "sipgateway.dev/path")
_ABSENT: Final = object()
#: Fields that say where a gateway is on a switch: with another value it moves.
_PLACE: Final = (("spec", "switch"), ("spec", "profile"), ("spec", "directory"), ("spec", "gatewayName"))


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one gateway.

    Attributes:
        kind: `add`, `change` or `remove`.
        fields: what changes: (path, before, after) as texts; no secret stands in a manifest.
        effect: what callers and the carrier would notice.
    """

    name: str
    kind: str
    file: str
    fields: tuple[tuple[str, str, str], ...] = ()
    effect: str = ""


@dataclass(slots=True)
class Promotion:
    """What would be committed.

    Attributes:
        files: path -> new content, None for a file that goes.
        refusals: not empty: nothing may be committed.
    """

    files: dict[str, bytes | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    refusals: list[Finding] = field(default_factory=list)


def promote(
    source: Environment,
    destination: Environment,
    *,
    base: Mapping[str, bytes] | None,
    now: Mapping[str, bytes],
    there: Mapping[str, bytes],
    names: Collection[str] = (),
    take_source: bool = False,
) -> Promotion:
    """Works a promotion out.

    Args:
        source: environment that things come from.
        destination: environment that they go to.
        base: the source's manifests at the last promotion, by path; None when there was none.
        now: the source's manifests.
        there: the destination's manifests.
        names: of SipGateways; empty for all.
        take_source: resolves conflicts.

    Raises:
        InputError: a manifest cannot be read or edited.
    """
    work = _Work(source, destination, there, take_source=take_source)
    before = None if base is None else gateways(base)
    ours, theirs = gateways(now), gateways(there)
    for name in sorted({*ours, *theirs} if not names else set(names)):
        mine, yours = ours.get(name), theirs.get(name)
        known = None if before is None else before.get(name)
        if mine is None and yours is None:
            what = f"There is no SipGateway {name} in {source.name}."
            work.result.refusals.append(codes.NO_ENVIRONMENT.finding("", what, "Check its name."))
        elif mine is None and yours is not None:
            if known is not None:
                work.remove(yours)
        elif mine is not None and yours is None:
            work.add(mine, removed_there=known is not None)
        elif mine is not None and yours is not None:
            work.change(mine, known, yours, first=before is None)
    work.finish()
    return work.result


def gateways(files: Mapping[str, bytes]) -> dict[str, Manifest]:
    """The SipGateways of an environment by name.

    Raises:
        InputError: a file cannot be read, or a name stands twice.
    """
    found: dict[str, Manifest] = {}
    for file, data in sorted(files.items()):
        for one in text.read(file, data):
            if one.name in found:
                what = f"SipGateway {one.name} stands in {found[one.name].file} as well."
                raise InputError(codes.CANNOT_PROMOTE.because("", what).at(Location(file)))
            found[one.name] = one
    return found


def drift(
    environment: Environment, before: Mapping[str, Manifest], mine: Mapping[str, Manifest]
) -> dict[str, list[str]]:
    """By gateway, how an environment differs from the one before it, but for what belongs to it."""
    found: dict[str, list[str]] = {}
    for name in sorted({*before, *mine}):
        one, other = mine.get(name), before.get(name)
        if one is None or other is None:
            found[name] = ["only there" if one is None else "only here"]
            continue
        own = tuple(parse_path(path) for m in (one, other) for path in environment.own_fields(m.name, m.labels))
        here, there = _movable(one, own), _movable(other, own)
        words = [
            f"{_path(leaf)}: {_shown(there.get(leaf, _ABSENT))} -> {_shown(here.get(leaf, _ABSENT))}"
            for leaf in sorted({*here, *there})
            if here.get(leaf, _ABSENT) != there.get(leaf, _ABSENT)
        ]
        if words:
            found[name] = words
    return found


def compared(environment: Environment, now: Mapping[str, bytes], then: Mapping[str, bytes]) -> Promotion:
    """What changes, in words, when an environment's files become what they were: all fields, its own ones too."""
    bare = Environment(environment.name, environment.namespace, environment.context)
    work = _Work(bare, bare, now, take_source=True)
    ours, theirs = gateways(then), gateways(now)
    for name in sorted({*ours, *theirs}):
        mine, yours = ours.get(name), theirs.get(name)
        if mine is None and yours is not None:
            work.remove(yours)
        elif mine is not None and yours is None:
            work.add(mine, removed_there=False)
        elif mine is not None and yours is not None:
            work.change(mine, None, yours, first=True)
    return work.result


class _Work:
    """One promotion while it is worked out; several gateways may stand in one file."""

    def __init__(
        self, source: Environment, destination: Environment, there: Mapping[str, bytes], *, take_source: bool
    ) -> None:
        self.result = Promotion()
        self._source = source
        self._destination = destination
        self._take_source = take_source
        self._there = there
        self._texts = {file: data.decode("utf-8-sig") for file, data in there.items()}

    def remove(self, yours: Manifest) -> None:
        documents = _documents(self._texts[yours.file])
        numbers = [n for n, one in enumerate(_named(self._texts[yours.file], yours.file)) if one == yours.name]
        del documents[numbers[0]]
        self._texts[yours.file] = "".join(documents)
        registers = yours.leaves.get(("spec", "register")) is not False
        step = Step(Kind.REMOVE, yours.name, "", True, None, registers, False, "")
        self.result.changes.append(Change(yours.name, "remove", yours.file, effect=impact(step, None, None).effect))

    def add(self, mine: Manifest, *, removed_there: bool) -> None:
        if removed_there and not self._take_source:
            self._conflict(mine.name, "", f"it was removed from {self._destination.name} since the last promotion")
            return
        own = self._own(mine)
        missing = sorted({_path(leaf) for leaf in mine.leaves if _is_own(leaf, own)})
        if missing:
            what = f"{mine.name} is new in {self._destination.name}, and has no value there for {', '.join(missing)}."
            self.result.refusals.append(codes.OWN_FIELD_MISSING.because("", what).at(Location(self._file(mine))))
            return
        added = self._moved(mine)
        file = self._file(mine)
        before = self._texts.get(file, "")
        joint = "" if not before.strip() else ("" if before.endswith("\n") else "\n") + "---\n"
        self._texts[file] = f"{before}{joint}{added}"
        registers = mine.leaves.get(("spec", "register")) is not False
        step = Step(Kind.ADD, mine.name, "", False, None, False, registers, "")
        fields = tuple(
            (_path(leaf), "", _shown(value)) for leaf, value in sorted(mine.leaves.items()) if leaf[0] == "spec"
        )
        self.result.changes.append(Change(mine.name, "add", file, fields, impact(step, None, None).effect))

    def change(self, mine: Manifest, known: Manifest | None, yours: Manifest, *, first: bool) -> None:
        own = (*self._own(mine), *self._own(yours))
        new, old = _movable(mine, own), _movable(yours, own)
        base = old if first else (_movable(known, own) if known is not None else {})
        sets: dict[Field, object] = {}
        removes: list[Field] = []
        for leaf in dict.fromkeys((*new, *old)):
            want, have = new.get(leaf, _ABSENT), old.get(leaf, _ABSENT)
            was = have if first else base.get(leaf, _ABSENT)
            if want == have or (want == was and not first):
                continue
            if have not in (was, want) and not self._take_source:
                self._conflict(
                    yours.name,
                    _path(leaf),
                    f"it was {_shown(was)}, is {_shown(want)} in {self._source.name} and {_shown(have)} in "
                    f"{self._destination.name}",
                )
            elif want is _ABSENT:
                removes.append(leaf)
            else:
                sets[leaf] = want
        if sets or removes:
            self._edit(yours, sets, removes, old)

    def finish(self) -> None:
        """Which files differ from what is there."""
        for file, after in self._texts.items():
            data = after.encode()
            if not after.strip():
                if file in self._there and self._there[file].strip():
                    self.result.files[file] = None
            elif self._there.get(file, b"") != data and self._there.get(file, b"").decode("utf-8-sig") != after:
                self.result.files[file] = data

    def _edit(self, yours: Manifest, sets: dict[Field, object], removes: list[Field], old: dict[Field, object]) -> None:
        # A leaf may become a mapping, or the other way round.
        removes += [
            leaf
            for leaf in old
            if leaf not in removes and any(_within(leaf, s) or _within(s, leaf) for s in sets if s != leaf)
        ]
        current = self._texts[yours.file]
        number = _named(current, yours.file).index(yours.name)
        manifest = Manifest(yours.file, current, number, yours.value)
        self._texts[yours.file] = text.edited(manifest, sets, removes)
        fields = tuple(
            (_path(leaf), _shown(old.get(leaf, _ABSENT)), _shown(sets.get(leaf, _ABSENT)))
            for leaf in sorted({*sets, *removes})
        )
        registered = (
            old.get(("spec", "register"), True) is not False and yours.leaves.get(("spec", "register")) is not False
        )
        registers = sets.get(("spec", "register"), registered) is not False
        moves = any(_within(leaf, place) for leaf in (*sets, *removes) for place in _PLACE)
        if any(leaf[0] == "spec" for leaf in (*sets, *removes)):
            step = Step(Kind.REPLACE, yours.name, "", True, None, registered, registers, "", moves=moves)
            effect = impact(step, None, None).effect
        else:
            effect = "nothing on the switch changes"
        self.result.changes.append(Change(yours.name, "change", yours.file, fields, effect))

    def _conflict(self, name: str, path: str, what: str) -> None:
        self.result.refusals.append(codes.CONFLICT.because(f"{name}: {path}" if path else name, f"{what}."))

    def _own(self, one: Manifest) -> tuple[Field, ...]:
        return tuple(parse_path(path) for path in self._destination.own_fields(one.name, one.labels))

    def _file(self, mine: Manifest) -> str:
        return f"{self._destination.folder}/{mine.file.removeprefix(self._source.folder + '/')}"

    def _moved(self, mine: Manifest) -> str:
        """The text of one document, as it stands in the destination."""
        meta = mine.value.get("metadata")
        if isinstance(meta, Mapping) and "namespace" in meta:
            placed = text.edited(mine, {("metadata", "namespace"): self._destination.namespace}, ())
        else:
            placed = mine.text
        return _documents(placed)[mine.number].removeprefix("---\n")


def _movable(one: Manifest | None, own: tuple[Field, ...]) -> dict[Field, object]:
    if one is None:
        return {}
    return {leaf: value for leaf, value in one.leaves.items() if not _is_own(leaf, own) and not _is_not_ours(leaf)}


def _is_not_ours(leaf: Field) -> bool:
    return leaf[:2] == ("metadata", "annotations") and leaf[-1].startswith(_NOT_OURS)


def _is_own(leaf: Field, own: tuple[Field, ...]) -> bool:
    return any(_within(leaf, one) for one in own)


def _within(leaf: Field, above: Field) -> bool:
    return leaf[: len(above)] == above


def parse_path(path: str) -> Field:
    """`spec.passwordFrom` or `metadata.labels[example.com/carrier]` to keys."""
    head, bracket, rest = path.partition("[")
    return (*head.split("."), rest.removesuffix("]")) if bracket else tuple(head.split("."))


def _path(leaf: Field) -> str:
    if leaf[0] == "metadata" and ("." in leaf[-1] or "/" in leaf[-1]):
        return f"metadata.{leaf[1]}[{leaf[-1]}]"
    return ".".join(leaf)


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "(not set)"
    shown = str(value) if not isinstance(value, bool) else str(value).lower()
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _documents(content: str) -> list[str]:
    """The documents of a file, each with what stands before it; together they are the file."""
    found: list[str] = [""]
    begun = False  # whether there is a document: what stands before the first `---` may be comments only
    for line in content.splitlines(keepends=True):
        marker = line.rstrip() == "---" or line.startswith("--- ")
        if marker and begun:
            found.append("")
        begun = begun or marker or bool(line.strip() and not line.startswith(("#", "%")))
        found[-1] += line
    return found


def _named(content: str, file: str) -> list[str]:
    """The name of each document of a file, as far as it is a SipGateway."""
    there = {one.number: one.name for one in text.read(file, content.encode())} if content.strip() else {}
    return [there.get(number, "") for number in range(len(_documents(content)) + 1)]
