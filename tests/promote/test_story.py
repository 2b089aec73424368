"""The way of a trunk through git: staging, evidence, production, and back; all parts are real but the carrier.

A bare repository behind git's own http-backend; two namespaces with an operator and a switch pod each; a sync for each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipgateway.reconcile.evidence import Evidence, Verdict, parse
from tests.agent_kube.pods import REGISTRAR
from tests.canary import Canary
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import Program, clean_environment, wait_until
from tests.git.served import Served, commit, git, new_repository
from tests.kube.lab import PASSWORD, Lab
from tests.ring.fleet import Fleet
from tests.sync.rights import sync_kubeconfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIPGW = [sys.executable, "-m", "sipgateway"]


@dataclass
class Environment:
    """A namespace with everything in it that an environment needs."""

    name: str
    lab: Lab
    fleet: Fleet
    sync: Program


@dataclass
class Story:
    """All of it."""

    served: Served
    clone: Path
    staging: Environment
    production: Environment

    def manifest(self, fleet: Fleet, **spec: Any) -> str:
        body = {
            "apiVersion": "sipgateway.dev/v1alpha1",
            "kind": "SipGateway",
            "metadata": {"name": "acme"},
            "spec": {
                "switch": fleet.name,
                "username": "acme",
                "passwordFrom": {"secretKeyRef": {"name": "acme", "key": "password"}},
                "proxy": REGISTRAR,
                "retrySeconds": 30,
                **spec,
            },
        }
        return yaml.safe_dump(body, sort_keys=False)

    def push(self, files: dict[str, str | None], message: str) -> str:
        made = commit(self.clone, files, message)
        self._push()
        return made

    def _push(self) -> None:
        git(self.clone, "push", "-q", "origin", "main")

    def sipgw(self, *arguments: str) -> tuple[int, str]:
        """A command of the person who promotes, in the clone."""
        environment = clean_environment(GIT_CONFIG_GLOBAL=os.devnull)
        done = subprocess.run(
            [*SIPGW, *arguments, "--repository", str(self.clone)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def evidence(self, environment: Environment, commit: str) -> Evidence:
        """What the sync says of a commit, as soon as it does."""

        def look() -> tuple[Evidence, ...]:
            ref = f"refs/notes/sipgateway/{environment.name}"
            return parse(git(self.served.bare, "notes", f"--ref={ref}", "show", commit, check=False))

        wait_until(lambda: bool(look()), 90, lambda: f"no evidence from {environment.name}\n{environment.sync.tail()}")
        return look()[-1]


@pytest.fixture(scope="module")
def story(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    with Served(folder, Canary().password) as served:
        clone = new_repository(folder / "clone")
        git(clone, "remote", "add", "origin", str(served.bare))
        found: list[Environment] = []
        try:
            for name in ("staging", "production"):
                (folder / name).mkdir()
                lab = Lab(control_plane, Operators(folder / name))
                lab.secret("acme")
                lab.start()
                fleet = Fleet(lab, folder / name, 1)
                sync = Program(
                    f"sync-{name}",
                    [
                        *SIPGW,
                        "sync",
                        f"--repository={served.url}",
                        f"--environment={name}",
                        f"--credentials={served.credentials}",
                        f"--kubeconfig={sync_kubeconfig(lab)}",
                        f"--folder={folder / name / 'mirror'}",
                        "--every=1",
                        "--deadline=40",
                    ],
                    folder / name / "sync.log",
                    is_ready=lambda: True,
                )
                found.append(Environment(name, lab, fleet, sync))
            one = Story(served, clone, *found)
            one.push({"environments/environments.yaml": layout(*found)}, "environments")
            for each in found:
                each.sync.start()
            yield one
        finally:
            for each in found:
                if each.sync.runs:
                    each.sync.stop()
                each.fleet.close()
                each.lab.close()


def layout(staging: Environment, production: Environment) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "sipgateway.dev/v1alpha1",
            "kind": "Environments",
            "environments": [
                {"name": "staging", "namespace": staging.lab.namespace, "gates": {"readyFor": "1s"}},
                {
                    "name": "production",
                    "namespace": production.lab.namespace,
                    "own": [{"fields": ["spec.switch", "spec.passwordFrom"]}],
                },
            ],
        }
    )


def test_a_trunk_goes_to_production_and_a_bad_change_comes_back(story: Story, canary: Canary) -> None:
    staging, production = story.staging, story.production
    own = f"# production's own\n{story.manifest(production.fleet, expireSeconds=600)}"
    first = story.push(
        {
            "environments/staging/acme.yaml": story.manifest(staging.fleet, expireSeconds=900),
            "environments/production/acme.yaml": own,
        },
        "acme",
    )
    assert story.evidence(staging, first).verdict is Verdict.GOOD
    assert story.evidence(production, first).verdict is Verdict.GOOD
    annotations = staging.lab.get("sipgateways", "acme")["metadata"]["annotations"]
    assert annotations["sipgateway.dev/commit"] == first
    assert annotations["sipgateway.dev/path"] == "environments/staging/acme.yaml"

    wait_until(lambda: story.sipgw("promote", "staging", "production", "--dry-run")[0] == 0, 20, lambda: "a gate")
    code, said = story.sipgw("promote", "staging", "production", "--push", "--wait", "60")
    assert code == 0, said
    assert "spec.expireSeconds: 600 -> 900" in said
    promoted = git(story.clone, "rev-parse", "HEAD")
    assert git(story.clone, "show", "HEAD:environments/production/acme.yaml") == own.replace("600", "900").strip()
    production.fleet.wait_everywhere("acme")

    # A password that the carrier does not take is never promotable.
    staging.lab.secret("other", password=canary.password)
    bad = story.manifest(
        staging.fleet, expireSeconds=900, passwordFrom={"secretKeyRef": {"name": "other", "key": "password"}}
    )
    made = story.push({"environments/staging/acme.yaml": bad}, "another account")
    known = story.evidence(staging, made)
    assert (known.verdict, [one.reason for one in known.not_ready]) == (Verdict.BAD, ["CredentialsRefused"])
    code, said = story.sipgw("promote", "staging", "production")
    assert code == 1
    assert "GateNotMet: evidence: staging does not work with this content: acme (CredentialsRefused)" in said
    assert git(story.clone, "rev-parse", "HEAD") == made

    # Forced into production, it shows as bad evidence, and one command takes it back.
    production.lab.secret("other", password=canary.password)
    forced = story.manifest(
        production.fleet, expireSeconds=900, passwordFrom={"secretKeyRef": {"name": "other", "key": "password"}}
    )
    wrong = story.push({"environments/production/acme.yaml": forced}, "forced")
    assert story.evidence(production, wrong).verdict is Verdict.BAD
    code, said = story.sipgw("rollback", "production", "--last-good", "--push", "--wait", "60")
    assert code == 0, said
    back = git(story.clone, "rev-parse", "HEAD")
    assert git(story.clone, "rev-parse", f"{back}:environments/production") == git(
        story.clone, "rev-parse", f"{promoted}:environments/production"
    )
    production.fleet.wait_everywhere("acme")
    subjects = git(story.clone, "log", "--format=%s", "--reverse").splitlines()
    assert subjects == [
        "environments",
        "acme",
        "promote acme from staging to production",
        "another account",
        "forced",
        f"roll production back to {promoted[:12]}",
    ]
    git(story.served.bare, "fsck", "--strict")
    everything = git(story.served.bare, "log", "--all", "-p")
    canary.assert_absent(everything, staging.sync.log, production.sync.log, said)
    assert PASSWORD not in everything
