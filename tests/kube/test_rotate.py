"""`sipgw keys`: what it says of a fleet's keys, and the exchange of the seal key, wherever it is cut short."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from sipgateway.cli import main
from sipgateway.cluster import access
from sipgateway.cluster.client import Api
from sipgateway.kube import rotate
from sipgateway.kube.records import FleetId
from sipgateway.render import configmap
from sipgateway.render.keys import secret_name
from tests.controlplane.process import clean_environment
from tests.kube.lab import Lab
from tests.kube.test_keys import fleet_with_one, lose

#: What whoever exchanges keys must be allowed to do, besides reading and patching the one Secret.
RIGHTS = {"configmaps": "list", "pods": "list", "sipswitches.sipgateway.dev": "list"}


def command(lab: Lab, kubeconfig: Path, switch: str, *arguments: str) -> list[str]:
    where = [f"--kubeconfig={kubeconfig}", f"--namespace={lab.namespace}", f"--switch={switch}"]
    return [sys.executable, "-m", "sipgateway", "keys", *arguments, *where]


def keys(lab: Lab, switch: str, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `sipgw keys` to its end, here: a process of its own takes a second to start."""
    line = command(lab, kubeconfig or keeper(lab, switch), switch, *arguments)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(line[3:])
        except SystemExit as error:  # wrong arguments
            code = int(str(error.code))
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


@contextmanager
def begun(lab: Lab, switch: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`sipgw keys` while it runs."""
    line = command(lab, keeper(lab, switch), switch, *arguments)
    process = subprocess.Popen(line, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str], beginning: str) -> str:
    """Reads what it says up to a line that begins so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return line.strip()
    raise AssertionError(f"it never said {beginning!r}, and ended with {process.wait()}")


def keeper(lab: Lab, switch: str) -> Path:
    """Somebody who may exchange the keys of a fleet, and nothing else."""
    name = f"keeper-{switch}"
    plane, here = lab.plane, ("-n", lab.namespace)
    if lab.find("serviceaccounts", name) is None:
        plane.kubectl(*here, "create", "serviceaccount", name)
        secret = f"--resource-name={secret_name(switch)}"
        plane.kubectl(*here, "create", "role", f"{name}-secret", "--verb=get,patch", "--resource=secrets", secret)
        plane.kubectl(*here, "create", "role", f"{name}-lists", "--verb=list", f"--resource={','.join(RIGHTS)}")
        for role in (f"{name}-secret", f"{name}-lists"):
            account = f"--serviceaccount={lab.namespace}:{name}"
            plane.kubectl(*here, "create", "rolebinding", role, f"--role={role}", account)
    return plane.kubeconfig_for(lab.namespace, name)


def seals(lab: Lab, name: str) -> frozenset[str]:
    found = lab.config_map(name)
    assert found is not None
    return configmap.sealed_with(found["data"])


def masked(text: str, *ids: str) -> str:
    """Text with the ids of keys as KEY1, KEY2, ..."""
    for number, key_id in enumerate(ids, 1):
        text = text.replace(key_id, f"KEY{number}")
    return text


def test_status_says_what_there_is_and_no_value(lab: Lab) -> None:
    switch, _, backup = fleet_with_one(lab)
    held = lab.keys(switch)
    agent = lab.agent(lab.new("fs"), switch)
    agent.report(sealKeys=[held.active])
    done = keys(lab, switch, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert masked(done.stdout, held.revision.key_id, held.active).splitlines() == [
        f"fleet {lab.namespace}/{switch}",
        "revision key  KEY1",
        "seal key      KEY2  active  needed by 1 of 1 ConfigMap, held by 1 of 1 agent",
        "No exchange is under way.",
    ]
    for value in backup["data"].values():
        assert value not in done.stdout or len(value) <= 12


def test_without_pods_it_takes_a_moment_and_touches_no_gateway(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    old, before = lab.keys(switch), lab.verified(name)
    target = (lab.config_map(name) or {})["data"]["target.json"]
    done = keys(lab, switch, "rotate")
    assert done.returncode == 0, done.stderr
    new = lab.keys(switch)
    assert done.stdout.splitlines() == [
        "Add a new seal key.",
        f"Activate seal key {new.active}.",
        *[line for line in done.stdout.splitlines() if line.startswith("Wait for the operator")],
        f"Drop seal key {old.active}.",
        f"Nothing to do: everything is sealed with key {new.active}.",
    ]
    assert new.ids == (new.active,) != old.ids
    assert new.revision.key == old.revision.key
    assert seals(lab, name) == {new.active}
    assert lab.verified(name).revision == before.revision
    assert (lab.config_map(name) or {})["data"]["target.json"] == target
    assert keys(lab, switch, "rotate").returncode == 0  # and again
    assert lab.keys(switch).ids != new.ids


def test_a_last_good_version_whose_secret_is_gone_is_sealed_anew_too(lab: Lab) -> None:
    switch, _, _ = fleet_with_one(lab)
    held, secret = lab.new("held"), lab.new("secret")
    lab.secret(secret)
    lab.apply(held, switch=switch, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    lab.wait_config_map(held)
    lab.delete(secret, "secrets")
    lab.wait_condition(held, "Programmed", "False", "HeldLastGood")
    before = lab.verified(held)
    assert keys(lab, switch, "rotate").returncode == 0
    assert seals(lab, held) == {lab.keys(switch).active}
    assert lab.verified(held).file == before.file


def test_nothing_is_sealed_with_a_key_before_every_agent_holds_it(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    old = lab.keys(switch).active
    quick, slow = lab.agent(lab.new("fs"), switch), lab.agent(lab.new("fs"), switch)
    for agent in (quick, slow):
        agent.report(sealKeys=[old])
    with begun(lab, switch, "rotate") as process:
        said = heard(process, "Wait for pods")
        new = lab.keys(switch).following
        assert new is not None
        assert said == f"Wait for pods {quick.pod}, {slow.pod} to read seal key {new}."
        quick.report(sealKeys=[old, new])
        assert heard(process, "Wait for pod ") == f"Wait for pod {slow.pod} to read seal key {new}."
        lab.edit(name, proxy="sip.example.net")  # what is written meanwhile is sealed with the old one
        lab.wait_config_map(name, lambda found: "sip.example.net" in found["data"]["gateway.xml"])
        assert seals(lab, name) == {old}
        slow.report(sealKeys=[old, new])
        heard(process, f"Drop seal key {old}")
        assert process.wait(20) == 0
    assert seals(lab, name) == {new}
    assert lab.keys(switch).ids == (new,)


def test_pods_that_leave_or_have_no_agent_are_not_waited_for_and_an_older_pods_report_is_none(lab: Lab) -> None:
    switch, _, _ = fleet_with_one(lab)
    old = lab.keys(switch).active
    leaver, again = lab.agent(lab.new("fs"), switch), lab.new("fs")
    leaver.report(sealKeys=[old])
    with begun(lab, switch, "rotate") as process:
        heard(process, f"Wait for pod {leaver.pod}")
        new = lab.keys(switch).following
        assert new is not None
        before = lab.agent(again, switch)
        before.report(sealKeys=[old, new])
        before.gone()
        lab.wait_gone(again, "pods")
        after = lab.agent(again, switch)  # the same name: what its predecessor said is still there for a while
        leaver.gone()
        heard(process, f"Wait for pod {again}")
        after_gone = lab.find("sipswitches", again)
        if (
            after_gone is not None
            and after_gone["metadata"]["ownerReferences"][0]["uid"] != after.object["metadata"]["uid"]
        ):
            lab.wait_gone(again, "sipswitches")
        after.report(sealKeys=[old, new])
        heard(process, "Nothing to do")
        assert process.wait(20) == 0


def test_it_gives_up_without_progress_and_the_next_call_goes_on(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    old = lab.keys(switch).active
    agent = lab.agent(lab.new("fs"), switch)
    agent.report(sealKeys=[old])
    done = keys(lab, switch, "rotate", "--timeout=1")
    new = lab.keys(switch).following
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"Wait for pod {agent.pod} to read seal key {new}."
    assert "no progress for 1 s" in done.stderr
    said = keys(lab, switch, "status").stdout.splitlines()[-1]
    assert said == f"An exchange is under way. Wait for pod {agent.pod} to read seal key {new}."
    agent.report(sealKeys=[old, str(new)])
    done = keys(lab, switch, "rotate")
    assert done.returncode == 0
    assert done.stdout.startswith("An exchange that was begun before goes on.\nActivate")
    assert lab.keys(switch).ids == (new,)
    assert seals(lab, name) == {new}


def test_without_an_operator_it_waits_for_one(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    old = lab.keys(switch).active
    lab.operator.stop()
    done = keys(lab, switch, "rotate", "--timeout=1")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(f"Wait for the operator to seal ConfigMap sipgateway-{name}")
    assert old in lab.keys(switch).ids
    lab.operator.start()
    assert keys(lab, switch, "rotate").returncode == 0
    assert seals(lab, name) == {lab.keys(switch).active}


class Cut(Exception):  # noqa: N818 - it is no error
    """Somebody ends the command here."""


@pytest.mark.parametrize("line", ["Add", "Wait for pod", "Activate", "Wait for the operator", "Drop", "Nothing"])
def test_cut_short_anywhere_it_goes_on_where_it_was(lab: Lab, line: str) -> None:
    switch, names = lab.new("fleet"), [lab.new("many") for _ in range(3)]
    for name in names:
        lab.apply(name, switch=switch)
    before = {name: lab.verify(lab.wait_config_map(name)) for name in names}
    old = lab.keys(switch).active
    agent = lab.agent(lab.new("fs"), switch)
    agent.report(sealKeys=[old])
    said: list[str] = []

    def until(text: str) -> None:
        said.append(text)
        if text.startswith(line):
            raise Cut
        follow(text)

    def follow(text: str) -> None:
        if text.startswith("Wait for pod"):
            agent.report(sealKeys=list(lab.keys(switch).ids))

    if line == "Wait for the operator":
        lab.operator.pause()
    try:
        with pytest.raises(Cut):
            asyncio.run(exchange(lab, switch, until))
    finally:
        lab.operator.resume()
    for name in names:
        assert lab.verified(name).file == before[name].file  # whatever is there, an agent can open it
    assert asyncio.run(exchange(lab, switch, follow))
    new = lab.keys(switch)
    assert new.ids == (new.active,) != (old,)
    for name in names:
        assert seals(lab, name) == {new.active}
        assert lab.verified(name).file == before[name].file


async def exchange(lab: Lab, switch: str, tell: Callable[[str], None]) -> bool:
    async with Api(await access.find(str(keeper(lab, switch)))) as api:
        return await rotate.rotate(api, FleetId(lab.namespace, switch), tell, 20)


def test_killed_it_goes_on_where_it_was(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    old = lab.keys(switch).active
    agent = lab.agent(lab.new("fs"), switch)
    agent.report(sealKeys=[old])
    with begun(lab, switch, "rotate") as process:
        heard(process, "Wait for pod")
        process.kill()
    new = str(lab.keys(switch).following)
    agent.report(sealKeys=[old, new])
    done = keys(lab, switch, "rotate")
    assert done.stdout.startswith("An exchange that was begun before goes on.\nActivate")
    assert (done.returncode, lab.keys(switch).ids) == (0, (new,))
    assert seals(lab, name) == {new}


def test_a_config_map_that_is_not_ours_does_not_hold_it_up(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    forged = lab.new("forged")
    data = dict((lab.config_map(name) or {})["data"])
    meta = {"name": f"sipgateway-{forged}", "labels": configmap.labels(forged, switch)}
    with lab.plane.api_as(lab.kubeconfig) as intruder:
        intruder.create(lab.path("configmaps"), {"metadata": meta, "data": data})
    done = keys(lab, switch, "rotate", "--timeout=10")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_done_is_told_with_its_exit_code(lab: Lab) -> None:
    switch, name, _ = fleet_with_one(lab)
    kubeconfig = keeper(lab, switch)
    elsewhere = keys(lab, f"{switch}-x", "status", kubeconfig=lab.plane.kubeconfig)
    assert elsewhere.returncode == 3
    assert elsewhere.stderr.startswith(
        f"sipgw: NoFleetKeys: There is no Secret {lab.namespace}/sipgateway-{switch}-x-keys."
    )
    forbidden = keys(lab, f"{switch}-x", "status", kubeconfig=kubeconfig)
    assert forbidden.returncode == 1
    assert re.match(r"sipgw: ApiRefused: The API server answers: 403 Forbidden: ", forbidden.stderr)
    lose(lab, switch, name)
    for what in ("status", "rotate"):
        lost = keys(lab, switch, what, kubeconfig=kubeconfig)
        assert (lost.returncode, lost.stdout) == (3, "")
        assert "FleetKeysMissing" in lost.stderr
    assert keys(lab, switch, "rotate", "--timeout=-1", kubeconfig=kubeconfig).returncode == 2
    assert keys(lab, switch, "burn", kubeconfig=kubeconfig).returncode == 2
