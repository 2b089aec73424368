"""Keeps what this version writes as a fixture, so that every later one is held to touch none of it.

In: manifests/examples, tests/fixtures/releases/more.yaml and VERSION. Out: tests/fixtures/releases/VERSION/: the
manifests, the keys of their fleets and the ConfigMaps. Run it once, when a version is about to be tagged; a folder
that is there is only written anew with `--again`, which is for a version that nobody has yet.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import shutil
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import yaml

from sipgateway.api.names import LABEL_KEYS
from sipgateway.render.configmap import Body, build
from sipgateway.render.keys import FleetKeys, secret_name
from sipgateway.source.folder import Folder
from sipgateway.source.local import EffectiveGateway, accepted

ROOT = Path(__file__).resolve().parent.parent
RELEASES = ROOT / "tests" / "fixtures" / "releases"
_NOTE = "# {}, as version {} wrote it for the manifests beside it. Never edit it: tests/render/test_releases.py.\n"
_TEST_KEYS = "# TEST KEYS: everybody can compute them. Use them nowhere.\n"

Fleet = tuple[str, str]


class _Block(str):
    """A text of several lines, which YAML shall show as it is."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def manifest_of(body: Body, namespace: str) -> dict[str, object]:
    """A ConfigMap as the API server would show it."""
    data = {name: _Block(text) if "\n" in text else text for name, text in body.data.items()}
    metadata = {"name": body.name, "namespace": namespace, "labels": dict(body.labels)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def to_yaml(objects: Iterable[Mapping[str, object]]) -> str:
    """Objects as documents of one file; texts of several lines are shown as they are."""
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def test_random(name: str) -> Callable[[int], bytes]:
    """A source of keys that everybody can compute."""
    numbers = itertools.count()
    return lambda size: hashlib.shake_256(f"sipgateway TEST KEY {name} {next(numbers)}".encode()).digest(size)


def test_keys(version: str, fleet: Fleet) -> FleetKeys:
    """The keys of a fleet of the fixture, with a new seal key announced."""
    random = test_random("/".join((version, *fleet)))
    return FleetKeys.generate(random).with_new_seal(random)


def fixture(version: str, gateways: Iterable[EffectiveGateway]) -> Mapping[str, str]:
    """The files of a release: their names and what they hold."""
    mine = list(gateways)
    fleets = sorted({(one.source.namespace, one.source.spec.switch) for one in mine})
    keys = {fleet: test_keys(version, fleet) for fleet in fleets}
    secrets = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(switch), "namespace": namespace, "labels": {LABEL_KEYS: switch}},
            "data": {name: b64encode(value).decode() for name, value in keys[namespace, switch].to_data().items()},
        }
        for namespace, switch in fleets
    ]
    config_maps = [
        manifest_of(
            build(
                one.gateway,
                namespace=one.source.namespace,
                switch=one.source.spec.switch,
                object_name=one.source.name,
                keys=keys[one.source.namespace, one.source.spec.switch],
            ),
            one.source.namespace,
        )
        for one in mine
    ]
    return {
        "keys.yaml": _NOTE.format("The keys of each fleet", version) + _TEST_KEYS + to_yaml(secrets),
        "configmaps.yaml": _NOTE.format("Every ConfigMap", version) + to_yaml(config_maps),
    }


def keep(version: str, releases: Path = RELEASES) -> Path:
    """Writes the folder of a version and returns it."""
    folder = releases / version
    (folder / "manifests").mkdir(parents=True)
    for path in sorted((ROOT / "manifests" / "examples").glob("*.yaml")):
        shutil.copyfile(path, folder / "manifests" / path.name)
    shutil.copyfile(RELEASES / "more.yaml", folder / "manifests" / "more.yaml")
    result = accepted(Folder(folder / "manifests").snapshot())
    if result.refused:
        raise SystemExit(f"refused, so nothing that could be kept: {', '.join(result.refused)}")
    for name, text in fixture(version, result.gateways).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def main() -> int:
    """Writes the folder of the version in VERSION; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="write the folder anew though it is there")
    parser.add_argument("--into", type=Path, default=RELEASES, help="the folder of all releases")
    arguments = parser.parse_args()
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    folder = arguments.into / version
    if folder.exists():
        if not arguments.again:
            print(
                f"{folder} is there: what a tagged version wrote stays as it is (--again for one that is not tagged)."
            )
            return 1
        shutil.rmtree(folder)
    print(f"wrote {keep(version, arguments.into)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
