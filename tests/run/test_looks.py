"""A look at what the system told of comes to the same as a look at everything, whatever was edited."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sipgateway.cli.pipeline import Look, Pipeline
from sipgateway.render.revision import RevisionKey

NAMES = "abcdefgh"
SECRET = 'apiVersion: v1\nkind: Secret\nmetadata: {name: s, labels: {"sipgateway.dev/credentials": "true"}}\n'


def manifest(chance: random.Random, name: str) -> str:
    """A SipGateway, mostly a good one."""
    lines = [
        "apiVersion: sipgateway.dev/v1alpha1",
        "kind: SipGateway",
        f"metadata: {{name: {name}}}",
        "spec:",
        f'  proxy: "{chance.choice(["sip.example.com", "sip.example.net"])}"',
        f'  variables: [{{name: version, value: "{chance.randrange(100)}"}}]',
    ]
    if chance.random() < 0.2:
        lines += ["  username: u", "  passwordFrom: {secretKeyRef: {name: s, key: p}}", "  expireSeconds: 600"]
    else:
        lines.append("  register: false")
    odd = {
        "suspend: true": 0.05,
        "retrySeconds: 3": 0.05,
        "gatewayName: other": 0.1,
        "expireSeconds: 30": 0.05,
        "nosuch: 1": 0.05,
        "switch: elsewhere": 0.05,
        "profile: internal": 0.1,
    }
    lines += [f"  {line}" for line, often in odd.items() if chance.random() < often and f"  {line}" not in lines]
    return "\n".join([*lines, ""])


def edit(chance: random.Random, folder: Path) -> set[str]:
    """Does something to the folder; gives the paths that the system would tell of."""
    path = folder / f"{chance.choice(NAMES)}.yaml"
    what = chance.random()
    if what < 0.05:
        path.unlink(missing_ok=True)
    elif what < 0.1:
        path = folder / "s.yaml"
        path.write_text(f"{SECRET}stringData: {{p: pw{chance.randrange(3)}}}\n")
    elif what < 0.13:
        path.write_text("spec: [")
    elif what < 0.16:
        other = folder / f"{chance.choice(NAMES)}.yaml"
        if path.exists():
            path.rename(other)
        return {str(path), str(other)}
    elif what < 0.2:
        path.write_text(manifest(chance, path.stem) + "---\n" + manifest(chance, f"{path.stem}2"))
    else:
        path.write_text(manifest(chance, path.stem))
    return {str(path)}


def essence(look: Look) -> tuple[object, ...]:
    return (
        dict(look.desired.wanted),
        dict(look.desired.files),
        look.desired.complete,
        look.desired.held,
        look.desired.held_files,
        sorted(map(str, look.findings)),
        look.suspended,
        look.elsewhere,
        dict(look.owners),
        look.look_again,
        {name: one.effective.location for name, one in look.rendered.items()},
    )


@pytest.mark.parametrize("seed", range(15))
def test_a_look_at_what_was_told_of_is_as_good_as_one_at_everything(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    (tmp_path / "s.yaml").write_text(f"{SECRET}stringData: {{p: pw}}\n")
    for name in NAMES:
        (tmp_path / f"{name}.yaml").write_text(manifest(chance, name))
    few, everything = (Pipeline(tmp_path, RevisionKey(b"k" * 32), "default", quiet=2.0) for _ in range(2))
    now, short = 0.0, 0
    few.look(now), everything.look(now)
    for _ in range(60):
        now += chance.choice([0.1, 3.0])
        told = set().union(*(edit(chance, tmp_path) for _ in range(chance.choice([1, 1, 1, 2, 5]))))
        one, other = few.look(now, touched=told), everything.look(now)
        assert essence(one) == essence(other)
        result = few._result
        short += result is not None and result.edited is not None
    assert short  # so that it is not the same for want of trying
