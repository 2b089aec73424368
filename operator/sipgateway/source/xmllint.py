"""Lint of FreeSWITCH XML: everything that the switch would drop, replace or mangle without a word.

In: a path and global variables. Out: `XmlLint`: findings in the words of the XML, each with file and line.
Each gateway is translated as for import and judged by the rules for SipGateways, so that there is one set of rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from sipgateway.api.names import DEFAULT_PROFILE
from sipgateway.api.params import PARAMS
from sipgateway.errors import Finding, Severity
from sipgateway.source import codes
from sipgateway.source.found import FoundGateway, find_gateways
from sipgateway.source.freeswitch import Imported, translate, xml_path
from sipgateway.source.importer import dns_name, duplicates, judge, manifest, origin_of
from sipgateway.source.xmlfiles import read_all_xml

#: Rules for manifests that say nothing about an XML file, or that lint knows better from the profile.
_NOT_FOR_XML: Final = frozenset({"ContactMayBePodAddress", "TlsNeedsProfile", "ObjectNameInvalid"})
#: Notes that import needs and lint does not.
_ONLY_FOR_IMPORT: Final = frozenset({codes.CREDENTIAL_LEFT_OUT.name})
_XML_NAMES: Final[Mapping[str, str]] = {
    **{row.field: row.xml for row in PARAMS if row.field != row.xml},
    "passwordFrom": "password",
    "usernameFrom": "username",
    "spec.gatewayName": "name",
    "gatewayName": "name",
    "metadata.name": "name",
}
_FIELD = re.compile(
    r"(?<![\w-])(" + "|".join(sorted(map(re.escape, _XML_NAMES), key=len, reverse=True)) + r")(?![\w-])"
)
_TWICE: Final = re.compile(r"\b([\w-]+) or \1\b")


@dataclass(frozen=True, slots=True)
class XmlLint:
    """What lint says of FreeSWITCH XML.

    Attributes:
        findings: in the order of files and lines.
        gateways: how many were found.
        files: how many were read.
    """

    findings: tuple[Finding, ...]
    gateways: int
    files: int


def lint_xml(*paths: str, variables: Mapping[str, str], profile: str = DEFAULT_PROFILE, stdin: bytes = b"") -> XmlLint:
    """Checks the FreeSWITCH XML of files or folders; arguments as for `read_all_xml` and `find_gateways`."""
    files = read_all_xml(paths, variables, stdin)
    found, problems = find_gateways(files, profile=profile)
    translated = [translate(one) for one in found]
    doubles = duplicates(translated)
    findings = [*files.findings, *problems]
    for index, one in enumerate(translated):
        own = _of_gateway(one)
        if index in doubles:
            own.insert(0, doubles[index])
        own += _ghosts(one.found)
        findings += own
    return XmlLint(tuple(sorted(findings, key=_order)), len(found), files.files)


def _of_gateway(one: Imported) -> list[Finding]:
    findings = [note.finding for note in one.notes if note.finding.code not in _ONLY_FOR_IMPORT]
    built = manifest(one, dns_name(one.name))
    judged = [finding for finding in judge(built.obj, built.secret) if finding.code not in _NOT_FOR_XML]
    findings += (_in_xml(finding, one) for finding in judged)
    errors = any(finding.severity is Severity.ERROR for finding in judged)
    if one.not_loaded is not None and not errors:
        finding = codes.NOT_LOADED.finding(xml_path(one.name), f"the switch drops it: {one.not_loaded}.")
        findings.append(finding.at(one.found.place))
    return findings


def _ghosts(found: FoundGateway) -> list[Finding]:
    profiles = ", ".join(found.also)
    if not profiles:
        return []
    message = f"profiles {found.profile}, {profiles} all load it; on all but one it is a ghost that no command reaches."
    return [codes.DUPLICATE_GATEWAY.finding(xml_path(found.read.name), message).at(found.place)]


def _in_xml(finding: Finding, one: Imported) -> Finding:
    """A finding on a manifest's field, in the words of the XML that it came from."""
    inner, place = origin_of(one, finding.field)
    return replace(
        finding,
        field=xml_path(one.name, inner),
        message=_FIELD.sub(_xml_name, finding.message),
        action=_TWICE.sub(r"\1", _FIELD.sub(_xml_name, finding.action)),
        location=place,
    )


def _xml_name(found: re.Match[str]) -> str:
    return _XML_NAMES[found[0]]


def _order(finding: Finding) -> tuple[str, int, str]:
    place = finding.location
    return (place.file, place.line, finding.code) if place else ("", 0, finding.code)
