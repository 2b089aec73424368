"""What earlier versions wrote: today's code reads it, gives the same revisions, and would write none of it anew.

`tests/fixtures/releases/VERSION/` is what that version wrote; tools/keep_release.py adds a folder for each release. If
a test here fails, an update would replace gateways on every switch: mend the code, never a tagged version's folder.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipgateway.api.gateway import Gateway
from sipgateway.render.configmap import Body, build, peek, up_to_date, verify
from sipgateway.render.keys import FleetKeys, secret_name
from sipgateway.render.revision import revision
from sipgateway.render.xml import render
from sipgateway.source.folder import Folder
from sipgateway.source.local import accepted

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ROOT / "tests" / "fixtures" / "releases"
VERSIONS = sorted(path.name for path in RELEASES.iterdir() if path.is_dir())


@dataclass(frozen=True)
class Kept:
    """One ConfigMap that a release wrote, and what today's code makes of the same manifest."""

    namespace: str
    name: str
    switch: str
    data: Mapping[str, str]
    labels: Mapping[str, str]
    keys: FleetKeys
    gateway: Gateway
    body: Body


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def fleet_keys(folder: Path) -> dict[tuple[str, str], FleetKeys]:
    found: dict[tuple[str, str], FleetKeys] = {}
    for secret in documents(folder / "keys.yaml"):
        data = {name: base64.b64decode(value, validate=True) for name, value in secret["data"].items()}
        found[secret["metadata"]["namespace"], secret["metadata"]["name"]] = FleetKeys.from_data(data)
    return found


@cache
def kept(version: str) -> tuple[Kept, ...]:
    """Every ConfigMap of a release, beside today's reading of its manifest; none may be missing on either side."""
    folder = RELEASES / version
    keys = fleet_keys(folder)
    written = {(c["metadata"]["namespace"], c["metadata"]["name"]): c for c in documents(folder / "configmaps.yaml")}
    result = accepted(Folder(folder / "manifests").snapshot())
    assert not result.refused
    found = []
    for one in result.gateways:
        namespace, switch = one.source.namespace, one.source.spec.switch
        fleet = keys[namespace, secret_name(switch)]
        body = build(one.gateway, namespace=namespace, switch=switch, object_name=one.source.name, keys=fleet)
        whole = written.pop((namespace, body.name))
        labels = whole["metadata"]["labels"]
        found.append(Kept(namespace, body.name, switch, whole["data"], labels, fleet, one.gateway, body))
    assert not written
    return tuple(found)


pytestmark = pytest.mark.parametrize("version", VERSIONS)


def test_its_configmaps_verify_and_hold_the_gateways_of_its_manifests(version: str) -> None:
    for one in kept(version):
        found = verify(one.data, one.labels, namespace=one.namespace, name=one.name, switch=one.switch, keys=one.keys)
        assert found.gateway == one.gateway, one.name
        assert found.file == render(one.gateway, found.revision)


def test_its_revisions_are_todays(version: str) -> None:
    for one in kept(version):
        assert peek(one.data).revision == revision(one.gateway, one.keys.revision), one.name


def test_none_of_its_configmaps_would_be_written_anew(version: str) -> None:
    for one in kept(version):
        assert up_to_date(one.data, one.labels, one.body, namespace=one.namespace, keys=one.keys), one.name


def test_its_keys_are_written_as_they_are_read(version: str) -> None:
    for secret in documents(RELEASES / version / "keys.yaml"):
        data = {name: base64.b64decode(value) for name, value in secret["data"].items()}
        assert FleetKeys.from_data(data).to_data() == data


def test_it_covers_both_sections_several_fleets_and_every_kind_of_content(version: str) -> None:
    everything = kept(version)
    assert len({(one.namespace, one.switch) for one in everything}) > 1
    assert {one.gateway.target.directory is None for one in everything} == {True, False}
    assert {one.gateway.registers for one in everything} == {True, False}
    assert any(one.gateway.subscriptions for one in everything)
    assert any(one.gateway.variables for one in everything)
    assert {p.name for one in everything for p in one.gateway.parameters if p.secret} == {"username", "password"}
