"""Where the gateways stand in FreeSWITCH XML, and which profile loads each.

In: expanded texts (xmlfiles). Out: `FoundGateway`s in the order in which the switch meets them, with the place of every
element, and findings: malformed XML in the switch's words, elements that mod_sofia passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import unquote

from lxml import etree

from sipgateway.api.names import DEFAULT_PROFILE
from sipgateway.api.spec import DirectoryUser
from sipgateway.errors import Finding, Location
from sipgateway.render.readback import ReadGateway, read_gateways
from sipgateway.render.switchxml import SwitchXmlError, parse
from sipgateway.source import codes
from sipgateway.source.documents import shown
from sipgateway.source.truth import is_true
from sipgateway.source.xmlfiles import XmlFiles, XmlText

#: A fragment is parsed inside of this element: the switch would have it inside of one too.
_WRAPPER: Final = "gateways"
_IN_PROFILE = re.compile(r"(?:^|/)sip_profiles/([^/]+)/[^/]+$")
_IN_DIRECTORY = re.compile(r"(?:^|/)directory_gateways/([^/]+)/([^/]+)/[^/]+$")
_READ_IN_GATEWAY: Final = frozenset({"param", "params", "variable", "variables", "subscriptions"})


@dataclass(frozen=True, slots=True)
class FoundGateway:
    """One `<gateway>` as mod_sofia reads it. Its parameters hold the password, so they show in no `repr`.

    Attributes:
        read: name, parameters, variables and subscriptions.
        place: where the element stands.
        params: places of `read.params`, one for each.
        variables: places of `read.variables`, one for each.
        subscriptions: places of `read.subscriptions`, one for each.
        profile: that loads it; None: nobody does.
        also: further profiles that load it, which makes it a ghost (fact 11).
        directory: the user under whom it stands; a domain that is not known is empty.
        tls: whether its profile has TLS; None: not known.
        passed_over: elements in it that are not read: (what, where).
        unset: global variables that it uses and that have no value here: (name, why not, where).
    """

    read: ReadGateway = field(repr=False)
    place: Location
    params: tuple[Location, ...]
    variables: tuple[Location, ...]
    subscriptions: tuple[Location, ...]
    profile: str | None
    also: tuple[str, ...] = ()
    directory: DirectoryUser | None = None
    tls: bool | None = None
    passed_over: tuple[tuple[str, Location], ...] = ()
    unset: tuple[tuple[str, str, Location], ...] = ()


@dataclass(frozen=True, slots=True)
class _Profile:
    """What is needed of a `<profile>`: which domains' gateways it loads, and whether it has TLS."""

    name: str
    domains: frozenset[str]
    tls: bool

    def loads(self, domain: str) -> bool:
        return "all" in self.domains or domain in self.domains


def find_gateways(files: XmlFiles, *, profile: str = DEFAULT_PROFILE) -> tuple[tuple[FoundGateway, ...], list[Finding]]:
    """Finds the gateways of all texts.

    Args:
        files: the texts.
        profile: loads what stands in no profile, and in no folder that says which.

    Returns:
        The gateways, each place once, and findings.
    """
    findings: list[Finding] = []
    found: dict[tuple[Location, int], FoundGateway] = {}
    for text in files.texts:
        root = _root(text, findings)
        if root is not None:
            for number, gateway in enumerate(_Tree(text, root, profile, findings).gateways()):
                found.setdefault((gateway.place, number if not gateway.place.line else 0), gateway)
    return tuple(found.values()), findings


def _root(text: XmlText, findings: list[Finding]) -> etree._Element | None:
    data = text.expanded.data
    try:
        return parse(data if text.whole else _wrapped(data))
    except SwitchXmlError as error:
        alone = list(_malformed_alone(text))
        if alone:
            findings += alone
            return None
        place = text.place(error.line)
        # Of a fragment the line within the expanded text says nothing to anybody.
        words = error.text if text.whole else error.text.partition("]: ")[2]
        findings.append(_malformed(words, place if place.file else Location(text.file)))
        return None


def _malformed(words: str, place: Location) -> Finding:
    message = f"{words}; until it is mended the switch loads nothing new from any file (fact 3)."
    return codes.MALFORMED_XML.finding("", message).at(place)


def _malformed_alone(text: XmlText) -> Iterator[Finding]:
    """Included files that are malformed by themselves: the parser stumbles over them in the file that includes them."""
    lines: dict[str, list[tuple[bytes, Location]]] = {}
    for line, place in zip(text.expanded.data.split(b"\n"), text.expanded.lines, strict=False):
        lines.setdefault(place.file, []).append((line, place))
    for file, own in lines.items():
        if file == text.file:
            continue
        try:
            parse(_wrapped(b"\n".join(line for line, _ in own)))
        except SwitchXmlError as error:
            _, place = own[min(max(error.line, 1), len(own)) - 1]
            yield _malformed(error.text.partition("]: ")[2], place)


def _wrapped(data: bytes) -> bytes:
    return b"<%s>%s</%s>" % (_WRAPPER.encode(), data, _WRAPPER.encode())


class _Tree:
    """One parsed text."""

    def __init__(self, text: XmlText, root: etree._Element, profile: str, findings: list[Finding]) -> None:
        self._text = text
        self._root = root
        self._default = profile
        self._findings = findings
        self._places = text.expanded.lines
        self._unset: dict[Location, tuple[tuple[str, str], ...]] = {}
        self._profiles = [
            _Profile(
                element.get("name", ""),
                frozenset(
                    domain.get("name", "")
                    for domain in element.iterfind("domains/domain")
                    if is_true(domain.get("parse"))
                ),
                any(
                    param.get("name") == "tls" and is_true(param.get("value"))
                    for param in element.iterfind("settings/param")
                ),
            )
            for element in root.iter("profile")
        ]

    def gateways(self) -> Iterator[FoundGateway]:
        for element in self._root.iter("gateway"):
            above = list(element.iterancestors())
            if any(one.tag == "configuration" and one.get("name") != "sofia.conf" for one in above):
                continue  # a gateway of another module
            if not self._is_read(above):
                message = f"gateway {shown(element.get('name', ''))} stands where mod_sofia reads no gateways."
                self._findings.append(codes.IGNORED_ELEMENT.finding("gateway", message).at(self._place(element)))
                continue
            yield self._found(element, {str(ancestor.tag): ancestor for ancestor in reversed(above)})

    def _is_read(self, above: list[etree._Element]) -> bool:
        """Only the first `<gateways>` of a profile or user is read (sofia.c, config_sofia_profile)."""
        holder = above[0] if above else None
        if holder is None or holder.tag != "gateways":
            return False
        outer = above[1] if len(above) > 1 else None
        if outer is None:
            return not self._text.whole
        if holder is self._root or (outer is self._root and not self._text.whole):
            return True
        return outer.tag in {"profile", "user"} and outer.find("gateways") is holder

    def _found(self, element: etree._Element, above: Mapping[str, etree._Element]) -> FoundGateway:
        read = read_gateways(element)[0]
        place = self._place(element)
        lists = {
            name: tuple(self._place(child) for child in _inside(element, f"{name}s", name))
            for name in ("param", "subscription")
        }
        # read_gateways leaves out variables without name or value
        lists["variable"] = tuple(
            self._place(child)
            for child in _inside(element, "variables", "variable")
            if child.get("name") is not None and child.get("value") is not None
        )
        profile, also, directory = self._target(above, place)
        known = next((one for one in self._profiles if one.name == profile), None)
        target = (self._place(above[tag]) for tag in ("profile", "domain", "user") if tag in above)
        places = dict.fromkeys((place, *target, *lists["param"], *lists["variable"], *lists["subscription"]))
        return FoundGateway(
            read,
            place,
            lists["param"],
            lists["variable"],
            lists["subscription"] if element.find("subscriptions") is not None else (),
            profile,
            also,
            directory,
            None if known is None else known.tls,
            tuple(self._passed_over(element)),
            tuple((name, why, one) for one in places for name, why in self._unset_at(one)),
        )

    def _target(
        self, above: Mapping[str, etree._Element], place: Location
    ) -> tuple[str | None, tuple[str, ...], DirectoryUser | None]:
        """Profile, further profiles, directory user."""
        if "profile" in above:
            return above["profile"].get("name", ""), (), None
        if "user" in above:
            domain = above["domain"].get("name", "") if "domain" in above else self._variable("domain")
            user = DirectoryUser(domain, above["user"].get("id", ""))
            if not self._text.whole:
                return self._default, (), user
            loading = [profile.name for profile in self._profiles if profile.loads(domain)]
            return (loading[0] if loading else None), tuple(loading[1:]), user
        in_directory = _IN_DIRECTORY.search(place.file)
        if in_directory:
            domain, user_id = (unquote(part) for part in in_directory.groups())
            return self._default, (), DirectoryUser(domain, user_id)
        in_profile = _IN_PROFILE.search(place.file)
        return (unquote(in_profile[1]) if in_profile else self._default), (), None

    def _variable(self, name: str) -> str:
        variables = self._text.expanded.variables
        return next((value for key, value in variables.items() if key.lower() == name), "")

    def _passed_over(self, gateway: etree._Element) -> Iterator[tuple[str, Location]]:
        """What stands in a gateway and is not read: a typo of an element, or something beside its wrapper."""
        for child in gateway:
            tag = str(child.tag)
            if tag not in _READ_IN_GATEWAY:
                yield f"<{shown(tag)}> is not read", self._place(child)
            elif tag in {"param", "variable"} and gateway.find(f"{tag}s") is not None:
                yield f"<{tag}> stands beside <{tag}s>, so it is not read", self._place(child)
            elif tag in {"params", "variables", "subscriptions"}:
                if gateway.find(tag) is not child:
                    yield f"a second <{tag}> is not read", self._place(child)
                    continue
                for inner in child:
                    if f"{inner.tag}s" != tag:
                        yield f"<{shown(str(inner.tag))}> in <{tag}> is not read", self._place(inner)
        for variable in _inside(gateway, "variables", "variable"):
            if variable.get("name") is None or variable.get("value") is None:
                yield "a <variable> without name or value is passed over", self._place(variable)

    def _unset_at(self, place: Location) -> tuple[tuple[str, str], ...]:
        if place not in self._unset:
            self._unset[place] = self._text.unset_at(place)
        return self._unset[place]

    def _place(self, element: etree._Element) -> Location:
        line = cast("int | None", element.sourceline) or 0
        if 0 < line <= len(self._places):
            return self._places[line - 1]
        return Location(self._text.file)


def _inside(gateway: etree._Element, wrapper: str, tag: str) -> list[etree._Element]:
    holder = gateway.find(wrapper)
    return [child for child in (gateway if holder is None else holder) if child.tag == tag]
