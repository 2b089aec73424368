"""Chaos: users edit, processes die, hang and come back, files and objects are tampered with; then all must be well.

In: a control plane, a folder, a seed. Out: per round how long it took until files = ConfigMaps = loaded = status, and
an error when that does not come, or when one of the histories shows what must never be (design.md, "Never").
`plan.py` decides what happens; here it is done and judged.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sipgateway.render.layout import file_name
from tests.agent_kube.pods import REGISTRAR, SwitchPod
from tests.canary import Canary
from tests.controlplane.api import ApiError
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.plugin import KEPT
from tests.controlplane.process import Program, wait_until
from tests.crd import install
from tests.kube.lab import Lab
from tests.ring.fleet import Fleet
from tests.ring.histories import EtcdHistory, FolderHistory, SwitchHistory
from tests.ring.judge import Judge
from tests.ring.plan import PROFILES, Round, Step, Trunk, World, first_world, plan
from tests.ring.sameness import differences

T = TypeVar("T")

#: Seconds until everything must be well again.
PATIENCE = 150.0
#: Half a file, as no editor should leave it.
GARBLED = b'<include>\n<gateway name="'
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sipgateways.sipgateway.dev"
_FOLDERS = (*(f"sip_profiles/{profile}" for profile in PROFILES), "directory_gateways/sipgw.example.com/trunks")


class Chaos:
    """A fleet, an operator and their users; a context that ends with all processes."""

    def __init__(
        self, plane: ControlPlane, folder: Path, seed: int, pods: int = 3, without: AbstractSet[str] = frozenset()
    ) -> None:
        self.seed, self.plane, self._folder, self._without = seed, plane, folder, without
        self._etcd = EtcdHistory(plane)
        self._canaries: dict[tuple[str, int], Canary] = {}
        self._disk: Path | None = None
        self._own_files: list[Path] = []
        self._close = contextlib.ExitStack()
        self.world = World()
        self.lab = Lab(plane, Operators(folder))
        self._close.callback(self.lab.close)
        options = {"registrars": [f"{REGISTRAR}=accept,password="]}
        self.fleet = Fleet(self.lab, folder, pods, start=False, **options)
        self._close.callback(self.fleet.close)
        self.pods = self.fleet.pods
        self._mount(self.pods[0])
        for pod in self.pods:
            for name in _FOLDERS:
                (pod.conf / name).mkdir(parents=True)
        self._written = FolderHistory([pod.conf / name for pod in self.pods for name in _FOLDERS])
        self._close.callback(self._written.close)
        self._switches = [SwitchHistory(pod) for pod in self.pods]
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self.lab.start("--lease-seconds=3")
            for pod in self.pods:
                pod.start()
            world = first_world()
            for secret in world.secrets:
                self._secret_restore(Step("", secret), world)
            for name in world.trunks:
                self._apply(Step("", name), world)
            self.world = world
            names = frozenset(t.gateway for t in world.trunks.values())
            self._finish(Round((), (world,), names, frozenset()), "the start")
        except BaseException:
            self._close.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # the pods' files and logs, as they are before anything ends
            kept = KEPT / f"chaos-seed-{self.seed}-{time.strftime('%H%M%S')}"
            shutil.copytree(self._folder, kept, symlinks=True)
            print(f"logs and files of the pods: {kept}")
        self._close.close()

    # A round

    def round(self, number: int) -> None:
        """Plays one round, waits until all is well, and judges it.

        Raises:
            AssertionError: it did not become well, or something happened that must never happen; with the steps.
        """
        planned = plan(self.seed, number, self.world, len(self.pods), self._without)
        done: list[str] = []
        for step, world in zip(planned.steps, planned.worlds, strict=True):
            done.append(f"{step.do} {step.what}".strip())
            self._names |= {t.gateway for t in world.trunks.values()}
            time.sleep(step.after)
            self._do(step, world)
        self.world = planned.world
        print(f"round {number}: {', '.join(done)}", flush=True)
        self._heal()
        self._finish(planned, f"round {number} (seed {self.seed}): {', '.join(done)}")

    def _finish(self, planned: Round, told: str) -> None:
        began = time.monotonic()
        self._names |= {t.gateway for t in planned.world.trunks.values()} | planned.touched
        found = ["nobody looked yet"]
        last: list[str] = []

        def same() -> bool:
            self._play_kubelet()
            last[:] = found
            found[:] = self._patiently(lambda: differences(self.fleet, planned.world, self._password))
            return not found

        def said() -> str:
            return f"{told}\ndoes not become well:\n" + "\n".join([*found, *self._ends()])

        wait_until(same, PATIENCE, said, every=0.3)
        print(f"  well after {time.monotonic() - began:.1f} s; last was: {'; '.join(last)[:300]}", flush=True)
        time.sleep(1.5)  # what is still on its way would be somebody's surprise in the next round
        wait_until(same, 10, said, every=0.3)
        broken = list(self._judged(planned))
        assert not broken, f"{told}\nNever shall:\n" + "\n".join([*dict.fromkeys(broken), *self._ends()])

    def _judged(self, planned: Round) -> Iterator[str]:
        judge = Judge(planned.touched, planned.let_go)
        for pod, history in zip(self.pods, self._switches, strict=True):
            for life in history.read(self._names):
                yield from (f"{pod.name}: {text}" for text in judge.life(life))
        own = {path.name for path in self._own_files}
        self._own_files.clear()
        for written in self._written.read():
            yield from judge.written(written, own, GARBLED)
        yield from self._leaks()
        yield from self._surprises()

    def _leaks(self) -> Iterator[str]:
        """Where a password stands that must not."""
        versions = [v for v in self._etcd.read() if not v.key.startswith("/registry/secrets/")]
        logs = [o.log for o in self.lab.operators.started]
        logs += [log for pod in self.pods for log in (pod.agent.log, pod.simulator.log)]
        places = [(v.key, v.value) for v in versions] + [(str(log), log.read_bytes()) for log in logs]
        for canary in self._canaries.values():
            for where, data in places:
                if form := canary.seen_in(data):
                    yield f"a password is in {where} ({form})"
            for pod in self.pods:
                try:
                    canary.assert_private(pod.conf)
                except AssertionError as error:
                    yield str(error)

    def _surprises(self) -> Iterator[str]:
        """What a process did not expect: tracebacks, and lines that are no log entries."""
        logs = {operator.name: operator.logs() for operator in self.lab.operators.started}
        for name, entries in (logs | {pod.agent.name: pod.agent.logs() for pod in self.pods}).items():
            for entry in entries:
                if "exception" in entry:
                    yield f"{name} was surprised: {entry['message']}: {str(entry['exception'])[-1500:]}"
        for operator in self.lab.operators.started:
            yield from (f"{operator.name} wrote {line}" for line in operator.noise())

    def _ends(self) -> list[str]:
        return [self.lab.operator.tail(15), *(pod.agent.tail(15) for pod in self.pods)]

    def _heal(self) -> None:
        """Whatever ended or hangs goes on."""
        if not self.lab.operator.runs:
            self.lab.operator.launch()
        self.lab.operator.resume()
        self._free()
        for pod in self.pods:
            for program in (pod.agent, pod.simulator):
                program.resume()
                if not program.runs:
                    program.launch()
            pod.simulator.wait_ready()

    def _play_kubelet(self) -> None:
        """A FreeSWITCH that cannot read its configuration ends at once, and its container is started again."""
        for pod, history in zip(self.pods, self._switches, strict=True):
            if not pod.simulator.runs:
                pod.simulator.start()
            elif pod.simulator.is_ready() and not pod.control("profiles"):
                history.last_words(self._names)

    # Steps

    def _do(self, step: Step, world: World) -> None:
        steps: dict[str, Callable[[Step, World], None]] = {
            "apply": self._apply,
            "delete": lambda s, _: self._patiently(lambda: self._gone("sipgateways", s.what)),
            "secret-restore": self._secret_restore,
            "secret-vanish": lambda s, _: self._patiently(lambda: self._gone("secrets", s.what)),
            "configmap-delete": lambda s, _: self._patiently(lambda: self._gone("configmaps", f"sipgateway-{s.what}")),
            "configmap-forge": lambda s, _: self._forge(s),
            "file-delete": lambda s, w: self._tamper(s, w, None),
            "file-garble": lambda s, w: self._tamper(s, w, GARBLED),
            "crd": self._crd,
            "api-kill": lambda s, _: self._api_kill(s),
            "api-pause": lambda s, _: self._api_pause(s),
            "watches-expire": lambda *_: self._expire(),
            "disk-fill": lambda *_: self._fill(),
            "disk-free": lambda *_: self._free(),
            "esl-drop": lambda s, _: self._drop(s),
            "switch-kill": lambda s, _: self._kill_switch(s),
        }
        if step.do in steps:
            steps[step.do](step, world)
            return
        subject, _, how = step.do.partition("-")
        program: Program = self.lab.operator
        if subject != "operator":
            pod = self._pod(step)
            program = pod.agent if subject == "agent" else pod.simulator
        if how == "start" and not program.runs:
            program.launch()
        elif how == "resume" and program.runs:
            program.resume()
        elif how == "kill":
            program.kill()
        elif how == "pause" and program.runs:
            program.pause()

    def _pod(self, step: Step) -> SwitchPod:
        return self.pods[int(step.what.partition("/")[0])]

    def _password(self, secret: str, world: World) -> Canary:
        return self._canaries.setdefault((secret, world.secrets[secret]), Canary())

    def _patiently(self, act: Callable[[], T], seconds: float = 40) -> T:
        """What a user's kubectl does while the API server comes back: once more."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return act()
            except (ApiError, OSError) as error:
                passing = not isinstance(error, ApiError) or error.code >= 500 or error.code == 429
                if time.monotonic() > deadline or not passing:
                    raise
                time.sleep(0.2)

    def _gone(self, plural: str, name: str) -> None:
        if self.lab.find(plural, name) is not None:
            self.lab.delete(name, plural)

    def _apply(self, step: Step, world: World) -> None:
        trunk = world.trunks[step.what]
        self._patiently(lambda: self._apply_trunk(trunk))

    def _apply_trunk(self, trunk: Trunk) -> None:
        self.fleet.apply(
            trunk.name,
            gatewayName=trunk.gateway,
            profile=trunk.profile,
            register=trunk.registers,
            suspend=trunk.suspended,
            retrySeconds=5,
            passwordFrom={"secretKeyRef": {"name": trunk.secret, "key": "password"}},
            variables=[{"name": "trunk_tier", "value": str(trunk.tier)}],
        )

    def _secret_restore(self, step: Step, world: World) -> None:
        password = self._password(step.what, world).password
        self._patiently(lambda: self.lab.secret(step.what, password=password))

    def _forge(self, step: Step) -> None:
        """Somebody with the operator's rights edits what it wrote."""

        def act() -> None:
            found = self.lab.config_map(step.what)
            if found is None:
                return
            text = re.sub(r"trunk_tier", "trunk_fear", found["data"]["gateway.xml"])
            with self.plane.api_as(self.lab.kubeconfig) as api, contextlib.suppress(ApiError):
                api.patch(self.lab.path("configmaps", f"sipgateway-{step.what}"), {"data": {"gateway.xml": text}})

        self._patiently(act)

    def _tamper(self, step: Step, world: World, content: bytes | None) -> None:
        pod, name = self._pod(step), file_name(world.trunks[step.what.partition("/")[2]].gateway)
        for relative in pod.files():
            path = pod.conf / relative
            if path.name == name:
                self._own_files.append(path)
                with contextlib.suppress(OSError):  # the disk is full
                    if content is None:
                        path.unlink(missing_ok=True)
                    else:
                        temporary = path.with_name(".somebody")
                        temporary.write_bytes(content)
                        temporary.rename(path)

    def _crd(self, step: Step, world: World) -> None:
        """Somebody uninstalls the CRD, sees what he did, and puts everything back."""
        self._patiently(lambda: self.plane.api.delete(_CRD))
        wait_until(lambda: self._patiently(lambda: self.plane.api.find(_CRD)) is None, 60, lambda: "the CRD stays")
        time.sleep(step.lasts)
        install.install_crds(self.plane)
        for name in world.trunks:
            self._apply(Step("apply", name), world)

    def _api_kill(self, step: Step) -> None:
        self.plane.api_server.kill()
        time.sleep(step.lasts)
        self.plane.api_server.start()
        self.plane.controller_manager.restart(graceful=False)  # else it hears nothing for ten seconds

    def _api_pause(self, step: Step) -> None:
        self.plane.api_server.pause()
        time.sleep(step.lasts)
        self.plane.api_server.resume()

    def _expire(self) -> None:
        """Every watch loses its place, and no resourceVersion that a client knows is good any more."""
        self.plane.api_server.kill()
        self._forgotten()
        self.plane.compact()
        self.plane.api_server.start()
        self.plane.controller_manager.restart(graceful=False)

    def _forgotten(self) -> None:
        """What etcd is about to forget is looked at before; the mark is also a write that no client hears of."""
        for version in self._etcd.read():
            for canary in self._canaries.values():
                if not version.key.startswith("/registry/secrets/"):
                    assert canary.seen_in(version.value) is None, f"a password is in {version.key}"

    def _mount(self, pod: SwitchPod) -> None:
        """A disk of its own, small enough to be filled, where we may mount one."""
        command = ["mount", "-t", "tmpfs", "-o", "size=512k", "sipgw-chaos", str(pod.conf)]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            self._disk = pod.conf
            self._close.callback(subprocess.run, ["umount", "--lazy", str(pod.conf)], check=True)

    def _fill(self) -> None:
        if self._disk is None:
            return
        with contextlib.suppress(OSError), (self._disk / ".filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 512)

    def _free(self) -> None:
        if self._disk is not None:
            (self._disk / ".filler").unlink(missing_ok=True)

    def _drop(self, step: Step) -> None:
        simulator = self._pod(step).simulator
        if simulator.is_ready():
            self._pod(step).control("drop")

    def _kill_switch(self, step: Step) -> None:
        number = int(step.what)
        if self.pods[number].simulator.runs:
            self.pods[number].simulator.resume()
            self.pods[number].simulator.wait_ready()
            self._switches[number].last_words(self._names)
