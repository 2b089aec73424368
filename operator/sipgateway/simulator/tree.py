"""The configuration in the switch's memory. In: a folder with freeswitch.xml. Out: profiles, their gateways, domains.

`reload()` reads everything again, as the switch does at each rescan (fact 2); what was read before stays when the new
text cannot be parsed (facts 2, 3), and nothing that is written later counts until the next one (fact 24c).

What is cached, and only that: a file that holds nothing but whole `<gateway>` elements, no directive and no `$${`, is
read and parsed once per (inode, size, times). Any other file, and every file while one of them is malformed, is read,
expanded and parsed anew each time.
"""

from __future__ import annotations

import copy
import fnmatch
import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import ReadGateway, read_gateways
from sipgateway.render.switchxml import SwitchXmlError, parse
from sipgateway.simulator.words import is_true

_ROOT = "freeswitch.xml"
_NO_ROOT = "Cannot Open log directory or XML Root!"
_LEAF = "sipgw-simulator-gateways"
_MARK = b'<sipgw-simulator-gateways run="%d"/>\n'
_SPECIAL = (b"$${", b"<!--#")
_Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Domain:
    """A `<domain>` of a profile (fact 25)."""

    name: str
    parse: bool


@dataclass(frozen=True, slots=True)
class ProfileTree:
    """A profile as the configuration has it.

    Attributes:
        name: of the profile.
        settings: its parameters, the last of equal names.
        gateways: of its first `<gateways>`, in file order.
        domains: directory domains that it names.
    """

    name: str
    settings: Mapping[str, str]
    gateways: tuple[ReadGateway, ...]
    domains: tuple[Domain, ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one parse of the whole tree gave.

    Attributes:
        profiles: by name, in file order.
        directory: gateways of each domain's users, in file order.
        event_socket: parameters of event_socket.conf.
        lists: names of ACL lists -> CIDRs that are allowed.
    """

    profiles: Mapping[str, ProfileTree] = field(default_factory=dict)
    directory: Mapping[str, tuple[ReadGateway, ...]] = field(default_factory=dict)
    event_socket: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Leaf:
    signature: _Signature
    content: bytes | None  # None: not cacheable
    gateways: tuple[ReadGateway, ...]


@dataclass(slots=True)
class _Run:
    """Files of one include that follow each other and are all cached."""

    leaves: list[_Leaf] = field(default_factory=list)

    def gateways(self) -> Iterator[ReadGateway]:
        for leaf in self.leaves:
            yield from leaf.gateways


class Tree:
    """The configuration tree of one switch.

    Args:
        folder: the configuration folder.
        log_folder: where the expanded XML goes (fact 9).
        variables: global variables of the switch before any `set`.
        log: takes (level, text) of what the switch would write to its log.
    """

    def __init__(
        self, folder: Path, log_folder: Path, variables: Mapping[str, str], log: Callable[[str, str], None]
    ) -> None:
        self.folder = folder
        self.log_folder = log_folder
        self.variables = dict(variables)
        self.configuration = Configuration()
        self.epoch = 0
        self.loaded = False
        self._log = log
        self._leaves: dict[str, _Leaf] = {}
        self._fresh: dict[str, _Leaf] = {}
        self._runs: list[_Run] = []

    def reload(self) -> str:
        """Reads the tree again.

        Returns:
            `Success`, or the switch's words for what is wrong; then the old tree stays.
        """
        try:
            root = (self.folder / _ROOT).read_bytes()
        except OSError:
            return _NO_ROOT
        self._runs, self._fresh = [], {}
        expanded = preprocess(root, file=str(self.folder / _ROOT), variables=self.variables, include=self._include)
        whole = self._spliced(expanded.data)
        if not self._keep_expanded(whole):
            return _NO_ROOT
        self._leaves = self._fresh
        self.variables = dict(expanded.variables)
        try:
            element = self._parsed(expanded.data, whole)
        except SwitchXmlError as error:
            return error.text
        self.configuration = self._configuration(element)
        self.epoch += 1
        self.loaded = True
        return "Success"

    def _parsed(self, marked: bytes, whole: bytes) -> etree._Element:
        try:
            return parse(marked)
        except SwitchXmlError:
            # Lines and words of the error are those of the text that the switch has: parse that one.
            self._runs = []
            return parse(whole)

    def _keep_expanded(self, data: bytes) -> bool:
        """Writes the expanded XML as fact 9 says; False when the log folder does not take it (fact 31)."""
        final = self.log_folder / f"{_ROOT}.fsxml"
        temporary = self.log_folder / f"{_ROOT}.fsxml.tmp"
        try:
            temporary.write_bytes(data)
            temporary.chmod(0o644)
            temporary.replace(final)
        except OSError:
            return False
        return True

    def _spliced(self, data: bytes) -> bytes:
        for number, run in enumerate(self._runs):
            content = b"".join(leaf.content or b"" for leaf in run.leaves)
            data = data.replace(_MARK % number, content, 1)
        return data

    def _include(self, pattern: str, cwd: str) -> Sequence[tuple[str, bytes | None]]:
        given: list[tuple[str, bytes | None]] = []
        run: _Run | None = None
        for path, signature in _matches(pattern if os.path.isabs(pattern) else os.path.join(cwd, pattern)):  # noqa: PTH117, PTH118
            leaf = self._leaf(path, signature)
            if leaf is not None and leaf.content is not None:
                if run is None:
                    run = _Run()
                    given.append((path, _MARK % len(self._runs)))
                    self._runs.append(run)
                run.leaves.append(leaf)
                continue
            run = None
            content = _read(path)
            if content is None:
                self._log("ERR", f"Couldn't open {path} (No such file or directory)")
            given.append((path, content))
        return given

    def _leaf(self, path: str, signature: _Signature | None) -> _Leaf | None:
        if signature is None:
            return None
        leaf = self._leaves.get(path)
        if leaf is None or leaf.signature != signature:
            content = _read(path)
            if content is None:
                return None
            leaf = _leaf_of(path, signature, content)
        self._fresh[path] = leaf
        return leaf

    def _configuration(self, root: etree._Element) -> Configuration:
        configuration = _named(root, "section", "configuration")
        sofia = _named(configuration, "configuration", "sofia.conf")
        profiles: dict[str, ProfileTree] = {}
        for item in _children(_first(sofia, "profiles"), "profile"):
            name = item.get("name", "")
            profiles.setdefault(
                name,
                ProfileTree(
                    name,
                    _settings(_first(item, "settings")),
                    tuple(self._gateways(_first(item, "gateways"))),
                    tuple(
                        Domain(domain.get("name", ""), is_true(domain.get("parse")))
                        for domain in _children(_first(item, "domains"), "domain")
                    ),
                ),
            )
        directory = {
            domain.get("name", ""): tuple(self._of_domain(domain))
            for domain in reversed(_children(_named(root, "section", "directory"), "domain"))
        }
        socket = _settings(_first(_named(configuration, "configuration", "event_socket.conf"), "settings"))
        lists = _lists(_first(_named(configuration, "configuration", "acl.conf"), "network-lists"))
        return Configuration(profiles, dict(reversed(directory.items())), socket, lists)

    def _of_domain(self, domain: etree._Element) -> Iterator[ReadGateway]:
        """Gateways of a domain: users beside the groups first, then those inside, as mod_sofia goes."""
        users = _children(domain, "user")
        for groups in _children(domain, "groups"):
            for group in _children(groups, "group"):
                for list_ in _children(group, "users"):
                    users += _children(list_, "user")
        for user in users:
            yield from self._gateways(_first(user, "gateways"))

    def _gateways(self, element: etree._Element | None) -> Iterator[ReadGateway]:
        if element is None:
            return
        if element.find(_LEAF) is None:
            yield from read_gateways(element)
            return
        for child in element:
            if child.tag == _LEAF:
                yield from self._runs[int(child.get("run", "0"))].gateways()
            elif child.tag == "gateway":
                alone = etree.Element("gateways")
                alone.append(copy.deepcopy(child))
                yield from read_gateways(alone)


def _leaf_of(path: str, signature: _Signature, content: bytes) -> _Leaf:
    nothing = _Leaf(signature, None, ())
    if any(special in content for special in _SPECIAL) or b"x-pre-process" in content.lower():
        return nothing
    expanded = preprocess(content, file=path)
    if expanded.directives:
        return nothing
    try:
        element = parse(b"<gateways>\n" + expanded.data + b"\n</gateways>")
    except SwitchXmlError:
        return nothing
    if any(child.tag != "gateway" for child in element) or (element.text or "").strip():
        return nothing
    if any((child.tail or "").strip() for child in element):
        return nothing
    data = expanded.data if expanded.data.endswith(b"\n") else expanded.data + b"\n"
    return _Leaf(signature, data, read_gateways(element))


def _matches(pattern: str) -> Iterable[tuple[str, _Signature | None]]:
    """Files of a pattern in glob(3)'s order, with what tells that one changed; None where it cannot be opened."""
    folder, _, name = pattern.rpartition("/")
    if any(character in folder for character in "*?["):
        return [(path, _signature(path)) for path in sorted(glob.glob(pattern))]  # noqa: PTH207
    if not any(character in name for character in "*?["):
        return [(pattern, _signature(pattern))] if os.path.lexists(pattern) else []
    try:
        with os.scandir(folder or "/") as entries:
            names = sorted(
                entry.name
                for entry in entries
                if fnmatch.fnmatchcase(entry.name, name) and (name.startswith(".") or not entry.name.startswith("."))
            )
    except OSError:
        return []
    return [(f"{folder}/{name}", _signature(f"{folder}/{name}")) for name in names]


def _signature(path: str) -> _Signature | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- ten thousand of them per rescan
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _children(element: etree._Element | None, tag: str) -> list[etree._Element]:
    return [] if element is None else [child for child in element if child.tag == tag]


def _first(element: etree._Element | None, tag: str) -> etree._Element | None:
    return next(iter(_children(element, tag)), None)


def _named(element: etree._Element | None, tag: str, name: str) -> etree._Element | None:
    return next((child for child in _children(element, tag) if child.get("name") == name), None)


def _settings(element: etree._Element | None) -> dict[str, str]:
    return {item.get("name", ""): item.get("value", "") for item in _children(element, "param")}


def _lists(element: etree._Element | None) -> dict[str, tuple[str, ...]]:
    return {
        item.get("name", ""): tuple(
            node.get("cidr", "") for node in _children(item, "node") if node.get("type", "allow") == "allow"
        )
        for item in _children(element, "list")
    }
