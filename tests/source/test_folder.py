"""A folder as a source: what is read, in which order, what is refused, and what costs nothing the second time."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sipgateway.source import folder as module
from sipgateway.source.folder import Folder, Snapshot


def manifest(name: str, namespace: str = "default", **spec: object) -> str:
    fields = "".join(
        f"  {key}: {value}\n" for key, value in {"register": "false", "proxy": "sip.example.com", **spec}.items()
    )
    head = (
        f"apiVersion: sipgateway.dev/v1alpha1\nkind: SipGateway\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
    )
    return f"{head}spec:\n{fields}"


def secret(name: str) -> str:
    labels = '  labels: {sipgateway.dev/credentials: "true"}\n'
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n{labels}stringData:\n  password: x\n"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(snapshot: Snapshot) -> list[str]:
    return [one.gateway.name for one in snapshot.gateways]


def problems(snapshot: Snapshot, root: Path) -> list[str]:
    return [str(finding).replace(f"{root}/", "").replace(str(root), ".") for finding in snapshot.findings]


def old(path: Path) -> None:
    """Makes a file old enough for its time stamp to prove something."""
    deadline = time.monotonic() + 5
    while time.time_ns() - path.stat().st_ctime_ns <= module._RACY_NS:
        assert time.monotonic() < deadline


def test_files_are_read_recursively_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/c.json", "B.yaml", "c/d/e.yaml"):
        put(tmp_path / name, manifest(Path(name).stem.lower() + ("2" if name == "B.yaml" else "")))
    put(tmp_path / "notes.txt", "no manifest")
    put(tmp_path / "x.yaml~", "no manifest")
    snapshot = Folder(tmp_path).snapshot()
    assert names(snapshot) == ["b2", "c", "z", "b", "e"]
    assert snapshot.files == 5
    assert not snapshot.findings
    assert not snapshot.unreadable


def test_what_begins_with_a_dot_is_skipped(tmp_path: Path) -> None:
    put(tmp_path / ".git" / "x.yaml", "[")
    put(tmp_path / ".x.yaml", "[")
    put(tmp_path / "a.yaml", manifest("a"))
    assert names(Folder(tmp_path).snapshot()) == ["a"]


def test_one_file_and_standard_input_are_sources_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(Folder(put(tmp_path / "any.name", manifest("a"))).snapshot()) == ["a"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(manifest("b").encode())))
    source = Folder("-")
    assert names(source.snapshot()) == ["b"]
    (one,) = source.snapshot().gateways
    assert str(one.manifest.start()) == "-:1"


def test_files_of_a_mounted_configmap_are_read_through_their_links(tmp_path: Path) -> None:
    put(tmp_path / "..2026_01_01" / "a.yaml", manifest("a"))
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    snapshot = Folder(tmp_path).snapshot()
    assert names(snapshot) == ["a"]
    assert not snapshot.unreadable


def test_links_out_of_the_folder_and_to_folders_are_refused(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside.yaml", manifest("outside"))
    root = tmp_path / "root"
    put(root / "sub" / "a.yaml", manifest("a"))
    (root / "out.yaml").symlink_to(outside)
    (root / "passwd.yaml").symlink_to("/etc/passwd")
    (root / "gone.yaml").symlink_to("nowhere.yaml")
    (root / "again").symlink_to("sub")
    (root / "up").symlink_to("..")
    (root / "harmless.txt").symlink_to("/etc/passwd")
    snapshot = Folder(root).snapshot()
    assert names(snapshot) == ["a"]
    outside_of, of_folder = "the link leads out of the folder.", "a link to a folder is not followed."
    remedy = "Put the file itself into the folder."
    assert sorted(problems(snapshot, root)) == [
        f"again: FileOutside: {of_folder} {remedy}",
        "gone.yaml: FileUnreadable: it does not exist. Correct its permissions, or remove it.",
        f"out.yaml: FileOutside: {outside_of} {remedy}",
        f"passwd.yaml: FileOutside: {outside_of} {remedy}",
        f"up: FileOutside: {of_folder} {remedy}",
    ]
    assert sorted(Path(path).name for path in snapshot.unreadable) == [
        "again",
        "gone.yaml",
        "out.yaml",
        "passwd.yaml",
        "up",
    ]


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a.yaml", manifest("a"))
    (tmp_path / "current").symlink_to("real")
    snapshot = Folder(tmp_path / "current").snapshot()
    assert names(snapshot) == ["a"]
    assert not snapshot.unreadable


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    snapshot = Folder(tmp_path).snapshot()
    assert problems(snapshot, tmp_path) == ["pipe.yaml: NotAFile: this is not an ordinary file. Remove it."]
    assert snapshot.unreadable == (str(tmp_path / "pipe.yaml"),)


def test_a_source_that_is_not_there_is_unreadable_and_not_empty(tmp_path: Path) -> None:
    snapshot = Folder(tmp_path / "gone").snapshot()
    assert problems(snapshot, tmp_path) == [
        "gone: FileUnreadable: it does not exist. Correct its permissions, or remove it."
    ]
    assert snapshot.unreadable == (str(tmp_path / "gone"),)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_listed(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", manifest("a")).chmod(0)
    (tmp_path / "sub").mkdir(mode=0)
    assert len(Folder(tmp_path).snapshot().unreadable) == 2


def test_a_file_that_cannot_be_parsed_is_listed_and_the_others_are_read(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", manifest("a"))
    put(tmp_path / "b.yaml", "a: [")
    put(tmp_path / "c.yaml", manifest("c") + "---\nspec: {}\n")
    put(tmp_path / "d.yaml", manifest("d", ping="x"))
    snapshot = Folder(tmp_path).snapshot()
    assert names(snapshot) == ["a", "c"]
    assert [Path(path).name for path in snapshot.unreadable] == ["b.yaml", "c.yaml"]
    assert [one.name for one in snapshot.broken] == ["d"]


def test_two_manifests_of_one_name_are_both_refused_and_name_each_other(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", manifest("x") + "---\n" + manifest("x", "other"))
    put(tmp_path / "b.yaml", manifest("x"))
    put(tmp_path / "s.yaml", secret("s") + "---\n" + secret("s"))
    snapshot = Folder(tmp_path).snapshot()
    assert [(one.gateway.namespace, one.gateway.name) for one in snapshot.gateways] == [("other", "x")]
    assert snapshot.secrets == ()
    assert [(one.namespace, one.name) for one in snapshot.broken] == [("default", "x")] * 2
    assert all(one.findings for one in snapshot.broken)
    remedy = "neither is used. Remove or rename one of the two."
    assert problems(snapshot, tmp_path) == [
        f"{here}: DuplicateObject: metadata.name: {what} stands here and at {there}; {remedy}"
        for here, what, there in (
            ("a.yaml:4", "SipGateway default/x", "b.yaml:4"),
            ("b.yaml:4", "SipGateway default/x", "a.yaml:4"),
            ("s.yaml:4", "Secret default/s", "s.yaml:12"),
            ("s.yaml:12", "Secret default/s", "s.yaml:4"),
        )
    ]
    assert not snapshot.unreadable


def test_a_good_manifest_beside_a_broken_one_of_its_name_is_refused_too(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", manifest("x"))
    put(tmp_path / "b.yaml", manifest("x", ping="x"))
    snapshot = Folder(tmp_path).snapshot()
    assert not snapshot.gateways
    assert [one.name for one in snapshot.broken] == ["x", "x"]
    assert all(one.findings for one in snapshot.broken)
    assert [finding.code for finding in snapshot.findings] == ["WrongType", "DuplicateObject"]


def test_only_a_changed_file_is_parsed_again(tmp_path: Path) -> None:
    for number in range(20):
        old(put(tmp_path / f"g{number:02}.yaml", manifest(f"g{number}")))
    source = Folder(tmp_path)
    first, second = source.snapshot(), source.snapshot()
    assert [a is b for a, b in zip(first.gateways, second.gateways, strict=True)] == [True] * 20
    put(tmp_path / "g07.yaml", manifest("g7", proxy="sip.example.net"))
    third = source.snapshot()
    assert [a is b for a, b in zip(second.gateways, third.gateways, strict=True)].count(False) == 1
    (tmp_path / "g07.yaml").unlink()
    assert len(source.snapshot().gateways) == 19


def test_a_change_within_the_same_time_stamp_is_not_missed(tmp_path: Path) -> None:
    path = put(tmp_path / "a.yaml", manifest("a"))
    source = Folder(tmp_path)
    assert names(source.snapshot()) == ["a"]
    stamp = path.stat()
    path.write_text(manifest("b"))  # same size, same inode
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert names(source.snapshot()) == ["b"]


def test_a_file_replaced_by_another_of_the_same_size_and_time_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "a.yaml", manifest("a"))
    old(path)
    source = Folder(tmp_path)
    source.snapshot()
    source.snapshot()
    stamp = path.stat()
    new = put(tmp_path / "new", manifest("b"))
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    new.replace(path)
    assert names(source.snapshot()) == ["b"]


def told(path: Path) -> str:
    """A path as the system tells of it."""
    return os.path.abspath(path)  # noqa: PTH100 - links stay


def test_of_files_that_are_told_of_no_other_is_looked_at(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / f"{name}.yaml", manifest(name))
    source = Folder(tmp_path)
    source.snapshot()
    for name in ("a", "b"):
        put(tmp_path / f"{name}.yaml", manifest(name, proxy="sip.example.net"))
    proxies = [one.gateway.spec.params["proxy"] for one in source.snapshot({told(tmp_path / "b.yaml")}).gateways]
    assert proxies == ["sip.example.com", "sip.example.net"]
    proxies = [one.gateway.spec.params["proxy"] for one in source.snapshot().gateways]
    assert proxies == ["sip.example.net"] * 2


def test_files_of_an_editor_are_no_reason_to_look_at_all(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", manifest("a"))
    source = Folder(tmp_path)
    source.snapshot()
    unseen = put(tmp_path / "unseen.yaml", manifest("unseen"))
    swap, backup = put(tmp_path / ".a.yaml.swp", "x"), put(tmp_path / "a.yaml~", "x")
    gone = tmp_path / ".a.yaml.new"
    assert names(source.snapshot({told(p) for p in (swap, backup, gone, tmp_path / "a.yaml")})) == ["a"]
    assert names(source.snapshot({told(unseen)})) == ["a", "unseen"]


def test_a_relative_source_knows_its_files_by_what_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "src" / "sub" / "a.yaml", manifest("a"))
    source = Folder("./src")
    source.snapshot()
    put(tmp_path / "src" / "b.yaml", manifest("b"))
    put(tmp_path / "src" / "sub" / "a.yaml", manifest("a", proxy="sip.example.net"))
    (one,) = source.snapshot({told(tmp_path / "src" / "sub" / "a.yaml")}).gateways
    assert one.gateway.spec.params["proxy"] == "sip.example.net"
    assert str(one.manifest.start()) == "./src/sub/a.yaml:1"


@pytest.mark.parametrize("what", ["gone", "new", "renamed folder", "link", "mounted", "unreadable before"])
def test_whatever_is_told_of_and_is_more_than_an_edit_makes_all_be_looked_at(tmp_path: Path, what: str) -> None:
    put(tmp_path / "a.yaml", manifest("a"))
    put(tmp_path / "sub" / "b.yaml", manifest("b"))
    put(tmp_path / "..one" / "m.yaml", manifest("m"))
    put(tmp_path / "..two" / "m.yaml", manifest("n"))
    (tmp_path / "..data").symlink_to("..one")
    if what == "mounted":
        (tmp_path / "m.yaml").symlink_to("..data/m.yaml")
    if what == "unreadable before":
        (tmp_path / "c.yaml").symlink_to("nowhere")
    source = Folder(tmp_path)
    source.snapshot()
    events: list[Path] = []
    if what == "gone":
        (tmp_path / "a.yaml").unlink()
        events = [tmp_path / "a.yaml"]
    elif what == "new":
        events = [put(tmp_path / "c.yaml", manifest("c"))]
    elif what == "renamed folder":
        (tmp_path / "sub").rename(tmp_path / "other")
        events = [tmp_path / "sub", tmp_path / "other"]
    elif what == "link":
        (tmp_path / "a.yaml").unlink()
        (tmp_path / "a.yaml").symlink_to("sub/b.yaml")
        events = [tmp_path / "a.yaml"]
    elif what == "mounted":
        (tmp_path / "..data_tmp").symlink_to("..two")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        events = [tmp_path / "..data_tmp", tmp_path / "..data"]
    else:
        (tmp_path / "c.yaml").unlink()
        events = [put(tmp_path / "a.yaml", manifest("a", proxy="sip.example.net"))]
    seen, fresh = source.snapshot({told(path) for path in events}), Folder(tmp_path).snapshot()
    assert [one.gateway for one in seen.gateways] == [one.gateway for one in fresh.gateways]
    assert seen.findings == fresh.findings
    assert seen.unreadable == fresh.unreadable


def test_a_thousand_unchanged_files_cost_little(tmp_path: Path) -> None:
    for number in range(1000):
        put(tmp_path / f"{number % 10}" / f"g{number}.yaml", manifest(f"g{number}"))
    old(tmp_path / "9" / "g999.yaml")
    source = Folder(tmp_path)
    assert len(source.snapshot().gateways) == 1000
    source.snapshot()
    fastest = min(_seconds(source) for _ in range(10))
    assert fastest < 0.04, "the goal is 20 ms on an idle machine"


def _seconds(source: Folder) -> float:
    start = time.perf_counter()
    source.snapshot()
    return time.perf_counter() - start


def test_a_file_name_of_any_bytes_is_read_and_can_be_shown(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.yaml"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"a: [")
    snapshot = Folder(tmp_path).snapshot()
    assert len(snapshot.findings) == 1
    str(snapshot.findings[0]).encode("utf-8", "backslashreplace")
