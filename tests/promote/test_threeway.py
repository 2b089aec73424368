"""The three-way promotion: own fields never move, everything else arrives, twice is once, comments survive."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.environments import Environment, Own
from sipgateway.errors import InputError
from sipgateway.promote import text, threeway
from tests.profiles import thorough
from tests.promote.writing import FIELDS, LABELS, Writer, changed, values

OWN = ("spec.username", "spec.passwordFrom", "metadata.labels[example.com/tier]")
OWN_NAMES = ("username", "passwordFrom", "label:example.com/tier")
OTHERS = tuple(name for name in (*FIELDS, *(f"label:{one}" for one in LABELS)) if name not in OWN_NAMES)
STAGING = Environment("staging", "telephony-staging")
PRODUCTION = Environment("production", "telephony", own=(Own(OWN),))


def path(environment: Environment, file: str = "acme.yaml") -> str:
    return f"{environment.folder}/{file}"


def promoted(base: str | None, now: str, there: str | None, **options: Any) -> threeway.Promotion:
    return threeway.promote(
        STAGING,
        PRODUCTION,
        base=None if base is None else {path(STAGING): base.encode()},
        now={path(STAGING): now.encode()},
        there={} if there is None else {path(PRODUCTION): there.encode()},
        **options,
    )


def leaves(content: str) -> dict[text.Field, object]:
    (found,) = text.read("x.yaml", content.encode())
    return found.leaves


def split(content: str) -> tuple[dict[text.Field, object], dict[text.Field, object]]:
    """Leaves that belong to production, and the others."""
    own = tuple(threeway.parse_path(one) for one in OWN)
    found = leaves(content)
    mine = {leaf: value for leaf, value in found.items() if any(leaf[: len(one)] == one for one in own)}
    return mine, {leaf: value for leaf, value in found.items() if leaf not in mine}


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, str, list[str]]:
    """Staging at the last promotion, staging now, production as that promotion left it; production's comments."""
    base = draw(values())
    now = draw(changed(base, tuple(FIELDS) + tuple(f"label:{one}" for one in LABELS)))
    there = draw(changed(base, OWN_NAMES))
    writer = Writer(draw)
    written = writer.manifest("acme", there)
    return Writer(draw).manifest("acme", base), Writer(draw).manifest("acme", now), written, writer.comments


@thorough
@given(cases())
def test_own_fields_never_move_everything_else_arrives_and_twice_is_once(case: tuple[str, str, str, list[str]]) -> None:
    base, now, there, comments = case
    result = promoted(base, now, there)
    assert result.refusals == []
    after = result.files.get(path(PRODUCTION), there.encode())
    assert after is not None
    content = after.decode()
    assert yaml.safe_load(content)["kind"] == "SipGateway"
    assert split(content)[0] == split(there)[0]
    assert split(content)[1] == split(now)[1]
    changes = {field for change in result.changes for field, _, _ in change.fields}
    assert bool(changes) is (split(there)[1] != split(now)[1])
    again = promoted(now, now, content)
    assert (again.files, again.changes, again.refusals) == ({}, [], [])
    # A comment that stands alone on its line survives; beside or within a value that goes, it may go with it.
    lines = {line.strip() for line in there.splitlines()}
    inside = {line for line in _lines_of_lists(there) if line.startswith("#")}
    assert {c for c in comments if c in lines} - inside <= {line.strip() for line in content.splitlines()}
    # What does not change keeps its bytes: each line of the old text that is not in the new one is of a changed field.
    if not changes:
        assert content == there


def _lines_of_lists(content: str) -> set[str]:
    """Lines from the first to the last of a nested value: they go with it when it is replaced."""
    found: set[str] = set()
    block: list[str] = []
    for line in content.splitlines():
        deep = len(line) - len(line.lstrip()) >= 4 or line.strip().startswith(("-", "#"))
        block = [*block, line.strip()] if deep else []
        found |= set(block)
    return found


GATEWAY = """\
# The trunk.
apiVersion: sipgateway.dev/v1alpha1
kind: SipGateway
metadata:
  name: acme   # its name
spec:
  username: "1"
  proxy: sip.example.com # the carrier's
  expireSeconds: 600

  # a remark about what follows
  register: true
"""


def test_only_what_changes_is_written() -> None:
    now = GATEWAY.replace("600", "900").replace('"1"', '"2"')
    result = promoted(GATEWAY, now, GATEWAY)
    assert result.files == {path(PRODUCTION): GATEWAY.replace("600", "900").encode()}
    (change,) = result.changes
    assert (change.kind, change.fields) == ("change", (("spec.expireSeconds", "600", "900"),))
    assert "re-registers" in change.effect


def test_what_only_the_destination_changed_stays_and_what_both_changed_is_a_conflict() -> None:
    there = GATEWAY.replace("600", "700")
    assert promoted(GATEWAY, GATEWAY, there).files == {}
    result = promoted(GATEWAY, GATEWAY.replace("600", "900"), there)
    (finding,) = result.refusals
    assert (finding.code, finding.field) == ("PromotionConflict", "acme: spec.expireSeconds")
    assert "was 600, is 900 in staging and 700 in production" in finding.message
    forced = promoted(GATEWAY, GATEWAY.replace("600", "900"), there, take_source=True)
    assert forced.files == {path(PRODUCTION): GATEWAY.replace("600", "900").encode()}


def test_a_new_gateway_needs_its_own_fields_there_first() -> None:
    result = promoted(None, GATEWAY, None)
    (finding,) = result.refusals
    assert finding.code == "OwnFieldMissing"
    assert "spec.username" in finding.message
    stub = GATEWAY.partition("  proxy")[0].replace('"1"', '"49"')
    filled = promoted(None, GATEWAY, stub)
    assert filled.refusals == []
    content = filled.files[path(PRODUCTION)]
    assert content is not None
    assert split(content.decode())[1] == split(GATEWAY)[1]
    assert leaves(content.decode())["spec", "username"] == "49"


def test_a_new_gateway_without_own_fields_comes_as_it_is_written() -> None:
    plain = GATEWAY.replace('  username: "1"\n', "")
    result = promoted(None, plain, None)
    assert result.files == {path(PRODUCTION): plain.encode()}
    assert [change.kind for change in result.changes] == ["add"]


def test_the_namespace_of_a_manifest_becomes_that_of_the_destination() -> None:
    plain = GATEWAY.replace('  username: "1"\n', "").replace(
        "metadata:\n", "metadata:\n  namespace: telephony-staging\n"
    )
    result = promoted(None, plain, None)
    assert result.files == {path(PRODUCTION): plain.replace("telephony-staging", "telephony").encode()}


def test_a_deletion_is_promoted_and_what_only_the_destination_has_stays() -> None:
    other = GATEWAY.replace("name: acme", "name: local")
    joint = f"{GATEWAY}---\n{other}"
    gone = threeway.promote(
        STAGING,
        PRODUCTION,
        base={path(STAGING): GATEWAY.encode()},
        now={},
        there={path(PRODUCTION): joint.encode()},
    )
    assert [(change.kind, change.name) for change in gone.changes] == [("remove", "acme")]
    content = gone.files[path(PRODUCTION)]
    assert content is not None
    assert [one.name for one in text.read("x", content)] == ["local"]
    alone = threeway.promote(
        STAGING, PRODUCTION, base={path(STAGING): GATEWAY.encode()}, now={}, there={path(PRODUCTION): GATEWAY.encode()}
    )
    assert alone.files == {path(PRODUCTION): None}
    assert "calls in progress survive" in alone.changes[0].effect


def test_what_was_removed_from_the_destination_does_not_come_back_by_itself() -> None:
    plain = GATEWAY.replace('  username: "1"\n', "")
    assert [f.code for f in promoted(plain, plain, None).refusals] == ["PromotionConflict"]
    assert promoted(plain, plain, None, take_source=True).files == {path(PRODUCTION): plain.encode()}


def test_a_move_is_told_as_one() -> None:
    moved = GATEWAY.replace("spec:\n", "spec:\n  profile: internal\n")
    (change,) = promoted(GATEWAY, moved, GATEWAY).changes
    assert "up to 4 s" in change.effect


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (GATEWAY.replace("spec:", "spec: &a") + "other: *a\n", "alias"),
        (GATEWAY.replace("\n", "\r\n"), "line ends"),
        (GATEWAY + "...\n", "ends of documents"),
        ("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: sipgateway.dev/v1alpha1, kind: SipGateway}\n", "List"),
    ],
)
def test_what_cannot_be_edited_with_certainty_is_refused_with_its_place(content: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        promoted(None, content, GATEWAY)
    assert refused.value.finding.location is not None
    assert refused.value.finding.location.file == path(STAGING)


def test_a_name_that_stands_nowhere_is_told() -> None:
    result = promoted(GATEWAY, GATEWAY, GATEWAY, names=["nobody"])
    assert "no SipGateway nobody in staging" in result.refusals[0].message
