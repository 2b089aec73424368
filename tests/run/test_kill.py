"""`kill -9` of `sipgw run` at random points: no half-written file is ever there, and nothing is replaced needlessly."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from threading import Thread

import pytest
from lxml import etree

from tests.run.lab import Lab, lab, manifest, spawner

ROUNDS = 200
PLAIN = [f"plain{n}" for n in range(6)]
REGISTERING = ["reg0", "reg1"]


class Editor:
    """Saves manifests at random moments and counts what it really changed."""

    def __init__(self, place: Lab, chance: random.Random) -> None:
        self.place = place
        self.chance = chance
        self.version = dict.fromkeys([*PLAIN, *REGISTERING], 0)
        self.changes: Counter[str] = Counter()
        for name in self.version:
            self.save(name)

    def save(self, name: str) -> None:
        self.place.save(name, manifest(name, str(self.version[name]), registers=name in REGISTERING))

    def edit(self) -> None:
        name = self.chance.choice([*PLAIN, *PLAIN, *PLAIN, *REGISTERING])
        what = self.chance.random()
        if what < 0.2:
            if (self.place.source / f"{name}.yaml").exists():
                self.save(name)  # again as it was
            return
        self.changes[name] += 1
        if what < 0.3 and name in PLAIN:
            (self.place.source / f"{name}.yaml").unlink(missing_ok=True)
        else:
            self.version[name] += 1
            self.save(name)

    def work(self, moments: list[float]) -> None:
        for pause in moments:
            time.sleep(pause)
            self.edit()


def assert_whole(place: Lab) -> None:
    for path in place.conf.rglob("*.xml"):
        if path.name.startswith("sipgw-"):
            (gateway,) = etree.parse(path).getroot().findall("gateway")
            assert path.name == f"sipgw-{gateway.get('name')}.xml"
            assert gateway.find(".//variable[@name='sipgw_revision']") is not None


def needless(history: list[dict[str, str]]) -> list[str]:
    """Names that were killed although the same revision came back."""
    last: dict[str, str] = {}
    killed: dict[str, str] = {}
    found: list[str] = []
    for entry in history:
        words = entry["text"].split()
        if "killgw" in words and entry["reply"].startswith("+OK"):
            killed[words[-1]] = last.get(words[-1], "")
        elif words[1] == "sofia_gateway_data":
            name, revision = words[2], entry["reply"]
            if killed.pop(name, None) == revision:
                found.append(name)
            if revision.startswith("1-"):
                last[name] = revision
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_any_moment_it_leaves_whole_files_and_replaces_nothing_needlessly(tmp_path: Path) -> None:
    chance = random.Random(20)
    with lab(tmp_path, "--speed", "8") as place, spawner() as kill_after:
        editor = Editor(place, chance)
        arguments = place.arguments("run", "--output", "json")
        log = tmp_path / "run.log"
        for _ in range(ROUNDS):
            moments = [chance.uniform(0, 0.05) for _ in range(chance.randrange(4))]
            typist = Thread(target=editor.work, args=(moments,))
            typist.start()
            killed = kill_after(arguments, log, chance.uniform(0.005, 0.25))
            typist.join()
            assert killed, log.read_text()[-2000:]
            assert_whole(place)
        done = place.sipgw("run", "--once", "--output", "json", "--timeout", "20")
        assert done.returncode == 0, (done.stdout[-3000:], done.stderr)
        there = sorted(path.stem for path in place.source.glob("*.yaml"))
        assert sorted(p.name for p in place.conf.rglob("*sipgw-*")) == [f"sipgw-{name}.xml" for name in there]
        assert list(place.conf.rglob(".sipgw-*")) == []
        for name in there:
            version = place.api(f"sofia_gateway_data {name} var version")
            assert version == str(editor.version[name])
        for name in set(editor.version) - set(there):
            assert place.api(f"sofia status gateway {name}").startswith("Invalid Gateway")
        history = place.control("commands")
        kills = Counter(e["text"].split()[-1] for e in history if "killgw" in e["text"].split())
        assert needless(history) == []
        assert {n: (kills[n], editor.changes[n]) for n in kills if kills[n] > editor.changes[n]} == {}
        assert sum(kills.values()) > 10
        assert place.control("profiles")["external"]["leaked_locks"] == 0
        again = place.sipgw("run", "--once", "--output", "json")
        assert again.returncode == 0
        more = place.control("commands", since=len(history))
        assert [e["text"] for e in more if "killgw" in e["text"] or "rescan" in e["text"]] == []
