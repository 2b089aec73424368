"""Files of a folder: what is written, what stays, what is set aside, and that a look at a few names is as good."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from sipgateway.agent.files import ConfFolder
from sipgateway.agent.store import Desired, Store
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import file_name


def path_of(name: str, profile: str = "external") -> str:
    return f"sip_profiles/{profile}/{file_name(name)}"


def desired(*, complete: bool = True, profile: str = "external", **versions: str) -> Desired:
    """What is wanted: name -> version."""
    wanted = {n: Wanted(n, profile, f"r-{n}-{v}", False, path_of(n, profile)) for n, v in versions.items()}
    return Desired(wanted, {w.path: content(w) for w in wanted.values()}, complete)


def content(wanted: Wanted) -> bytes:
    return f"<gateway {wanted.profile} {wanted.revision}>".encode()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(ConfFolder(tmp_path))


def asides(store: Store) -> dict[str, bytes]:
    """On the disk, which must be what the store believes."""
    found = store.folder.asides()
    assert found == dict(store.asides.values())
    return found


def test_new_names_are_told_from_changed_ones(store: Store) -> None:
    assert store.sync(desired(a="1", b="1")) == {"a", "b"}
    assert store.sync(desired(a="2", b="1", c="1"), ["a", "c"]) == {"c"}
    assert store.folder.read_all() == dict(desired(a="2", b="1", c="1").files)


def test_what_is_replaced_is_set_aside_until_its_successor_is_proved(store: Store) -> None:
    first = desired(a="1", b="1")
    store.sync(first)
    assert asides(store) == {}
    store.sync(desired(a="2", b="1"))
    store.sync(desired(a="3", b="1"))
    assert asides(store) == {path_of("a"): first.files[path_of("a")]}
    store.release("a")
    assert asides(store) == {}


def test_a_revision_that_did_not_load_is_not_set_aside(store: Store) -> None:
    store.sync(desired(a="1"))
    store.sync(desired(a="2"), dropped={"a": "r-a-1"})
    assert asides(store) == {}
    store.sync(desired(a="3"), dropped={"a": "r-a-1"})
    assert list(asides(store)) == [path_of("a")]


def test_a_gateway_that_moves_has_its_old_file_set_aside(store: Store) -> None:
    first = desired(a="1")
    store.sync(first)
    moved = desired(a="1", profile="internal")
    assert store.elsewhere(moved) == {"a"}
    store.sync(moved, leaving={"a"})
    assert store.folder.read_all() == {}
    assert asides(store) == dict(first.files)
    store.sync(moved)
    assert store.folder.read_all() == dict(moved.files)


def test_files_are_set_aside_even_where_there_are_no_second_names(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refused)
    first = desired(a="1")
    store.sync(first)
    store.sync(desired(a="2"))
    assert asides(store) == dict(first.files)


def test_what_was_set_aside_is_found_by_the_next_process(store: Store) -> None:
    first = desired(a="1")
    store.sync(first)
    store.sync(desired(a="2"))
    later = Store(store.folder)
    later.recover()
    assert later.asides == {file_name("a"): (path_of("a"), first.files[path_of("a")])}
    later.release("a")
    assert asides(later) == {}


def test_nothing_is_removed_without_evidence_and_what_is_held_stays(store: Store) -> None:
    store.sync(desired(a="1", b="1", c="1"))
    store.sync(desired(a="1", complete=False), ["b", "c"])
    assert len(store.folder.read_all()) == 3
    held = replace(desired(a="1"), held=frozenset({"b"}), held_files=frozenset({file_name("b")}))
    store.sync(held, ["b", "c"])
    assert store.folder.read_all().keys() == {path_of("a"), path_of("b")}
    store.sync(held, withdrawn={"b"})
    assert store.folder.read_all().keys() == {path_of("a")}
    assert asides(store) == {}


def test_what_is_kept_is_neither_written_nor_removed(store: Store) -> None:
    first = desired(a="1")
    store.sync(first)
    store.sync(desired(a="2", profile="internal", b="1"), kept={"a", "b"})
    assert store.folder.read_all() == dict(first.files)


@pytest.mark.parametrize("seed", range(20))
def test_looking_at_what_differs_comes_to_the_same_as_looking_at_all(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for name in ("few", "all"):
        (tmp_path / name).mkdir()
    few, whole = Store(ConfFolder(tmp_path / "few")), Store(ConfFolder(tmp_path / "all"))
    before = Desired()
    for _ in range(12):
        versions = {n: chance.choice("12") for n in "abcdefg" if chance.random() < 0.7}
        after = desired(complete=chance.random() < 0.8, profile=chance.choice(["external", "internal"]), **versions)
        names = after.differing(before)
        assert names == before.differing(after)
        if not before.complete:
            names |= set("abcdefg")  # whatever was not removed then
        few.sync(after, sorted(names))
        whole.sync(after)
        assert few.folder.read_all() == whole.folder.read_all()
        before = after


def test_values_that_are_the_same_do_not_differ() -> None:
    one, other = desired(a="1", b="1"), desired(a="1", b="1")
    assert one.differing(other) == set()
    rewritten = replace(other, files={**other.files, path_of("b"): b"other bytes for the same revision"})
    assert one.differing(rewritten) == {"b"}
    assert desired(a="1").differing(one) == {"b"}
