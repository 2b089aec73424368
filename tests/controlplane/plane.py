"""A real Kubernetes control plane on loopback. In: options. Out: etcd, API server and controller manager, ready.

    with ControlPlane(crds=[Path("crds")]) as plane:
        plane.kubectl("get", "namespaces")

TLS is verified everywhere, RBAC decides, tokens are bound ServiceAccount tokens. Nothing of it outlives the process
that started it. There is no kubelet and no scheduler: `kubelet.py` plays the part of the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.controlplane import audit, certificates, clients, commandlines, programs, tokens
from tests.controlplane.api import Access, Api, ApiError, Recorder
from tests.controlplane.ports import free_port
from tests.controlplane.process import NotReadyError, Program
from tests.controlplane.storm import Storm

PREFIX = "sipgw-controlplane-"
TRIES = 5


class ControlPlane:
    """The control plane: start it as a context, or with `start()` and `close()`."""

    def __init__(
        self,
        *,
        crds: Sequence[Path] = (),
        controllers: bool = True,
        audit_policy: str | None = audit.POLICY,
        fsync: bool = False,
        api_server_flags: Sequence[str] = (),
        etcd_flags: Sequence[str] = (),
        keep_in: Path | None = None,
    ) -> None:
        """Makes a temporary folder with keys and certificates; starts nothing yet.

        Args:
            crds: Files or folders that are applied before the controllers start: the garbage collector looks for new
                kinds only every 30 s.
            controllers: Whether kube-controller-manager runs. Without it nothing deletes what is owned.
            audit_policy: What the API server writes into its audit log; None for no log.
            fsync: Whether etcd waits for the disk. Tests need not; a benchmark may want what a cluster has.
            api_server_flags: More flags, such as `--watch-cache=false`; the last of two wins.
            etcd_flags: More flags.
            keep_in: Where logs are kept when the context ends with an error.

        Raises:
            MissingProgramsError: Programs are not built.
        """
        if absent := programs.missing():
            raise programs.MissingProgramsError(programs.advice(absent))
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._owned = _own(self.folder / "new")
        (self.folder / "new").rename(self.folder / "owner")  # seen by others only when it is locked
        self._crds = crds
        self._with_controllers = controllers
        self._audit_policy = audit_policy
        self._fsync = fsync
        self._flags = {"etcd": tuple(etcd_flags), "kube-apiserver": tuple(api_server_flags)}
        self._keep_in = keep_in
        self._keys = certificates.Keys(self.folder)
        self._components: dict[str, Program] = {}
        self._kubeconfigs = 0
        self.log_folder = self.folder / "logs"
        self.log_folder.mkdir()
        self.audit_log = self.log_folder / "audit.jsonl"

    # Life

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close(keep=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(keep=kind is not None)

    def start(self) -> None:
        """Starts all and waits until all are ready.

        Raises:
            NotReadyError: A program did not come up; the text has the end of its log.
        """
        self._start("etcd", self._etcd)
        self._start("kube-apiserver", self._api_server)
        self.admin = self._access(self._keys.admin)
        self.kubeconfig = self._write_kubeconfig("admin", self.admin)
        self.api = Api(self.admin)
        self._ensure("/api/v1/namespaces", "default")
        if self._crds:
            self.install_crds(*self._crds)
        if self._with_controllers:
            self._start("kube-controller-manager", self._controller_manager)
        self._ensure("/api/v1/namespaces/default/serviceaccounts", "default")

    def close(self, *, keep: bool = False) -> Path | None:
        """Ends all and removes the folder. Returns where the logs are, when they are to be kept."""
        if hasattr(self, "api"):
            self.api.close()
        for component in reversed(self._components.values()):
            with contextlib.suppress(RuntimeError):
                component.kill()  # nobody needs its data any more
        kept = None
        if keep and self._keep_in and self.log_folder.exists():
            kept = self._keep_in / f"{time.strftime('%Y%m%d-%H%M%S')}-{self.folder.name.removeprefix(PREFIX)}"
            shutil.copytree(self.log_folder, kept)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._owned:
            self._owned.close()
        return kept

    def _start(self, name: str, make: Callable[[int], Program]) -> None:
        """Starts a component on a port of its own, on another when somebody was faster."""
        for left in range(TRIES, 0, -1):
            program = self._components[name] = make(free_port())
            try:
                program.start()
            except NotReadyError as error:
                program.kill()
                if left == 1 or "address already in use" not in str(error):
                    raise
            else:
                return

    @property
    def etcd(self) -> Program:
        """Where everything is stored."""
        return self._components["etcd"]

    @property
    def api_server(self) -> Program:
        """The API server; a restart keeps its port.

        The controllers hear nothing for ten seconds after that: restart them too when they are wanted at once.
        """
        return self._components["kube-apiserver"]

    @property
    def controller_manager(self) -> Program:
        """The garbage collector, namespaces, ServiceAccounts, workloads."""
        return self._components["kube-controller-manager"]

    # The programs

    def _etcd(self, port: int) -> Program:
        self._etcd_access = Access(f"https://127.0.0.1:{port}", self._keys.authority, *self._keys.etcd_client.files)
        command = commandlines.etcd(self.folder, self._keys, self._etcd_access.server, fsync=self._fsync)
        return self._program("etcd", command, lambda: _answers(self._etcd_access, "/readyz"))

    def _api_server(self, port: int) -> Program:
        audit_flags = []
        if self._audit_policy is not None:
            policy = self.folder / "audit.yaml"
            policy.write_text(self._audit_policy)
            audit_flags = [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]
        command = commandlines.api_server(self.folder, self._keys, port, self._etcd_access.server)
        self._server = f"https://127.0.0.1:{port}"
        access = self._access(self._keys.admin)
        return self._program("kube-apiserver", [*command, *audit_flags], lambda: _answers(access, "/readyz"))

    def _controller_manager(self, port: int) -> Program:
        kubeconfig = self._write_kubeconfig("kube-controller-manager", self._access(self._keys.controller_manager))
        command = commandlines.controller_manager(self.folder, self._keys, port, kubeconfig)
        access = Access(f"https://127.0.0.1:{port}", self._keys.authority, *self._keys.admin.files)
        return self._program("kube-controller-manager", command, lambda: _answers(access, "/healthz"))

    def _program(self, name: str, command: list[str], is_ready: Callable[[], bool]) -> Program:
        command = [str(programs.find(name)), *command, *self._flags.get(name, ())]
        return Program(name, command, self.log_folder / f"{name}.log", is_ready=is_ready)

    # Who one is

    def _access(self, pair: certificates.Pair | None = None, token: str | None = None) -> Access:
        certificate, key = pair.files if pair else (None, None)
        return Access(self._server, self._keys.authority, certificate, key, token)

    def _write_kubeconfig(self, name: str, access: Access, namespace: str = "default") -> Path:
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(access.kubeconfig(namespace))
        return path

    def token_for(self, namespace: str, account: str, *, seconds: float = 3600, pod: str | None = None) -> str:
        """A bound token of a ServiceAccount, by TokenRequest; a lifetime under ten minutes is signed by ourselves.

        Args:
            namespace: The ServiceAccount's namespace.
            account: Its name.
            seconds: The token's lifetime.
            pod: The name of a Pod of that ServiceAccount: the token names it, and ends with it.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
        holder = self.api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}") if pod else None
        if seconds < tokens.SHORTEST:
            return tokens.signed(self._keys.token_key, self.api.get(path), holder, seconds)
        spec: dict[str, Any] = {"expirationSeconds": int(seconds)}
        if holder:
            uid = holder["metadata"]["uid"]
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        token: str = self.api.create(f"{path}/token", request)["status"]["token"]
        return token

    def kubeconfig_for(
        self, namespace: str, account: str, *, seconds: float = 3600, pod: str | None = None, path: Path | None = None
    ) -> Path:
        """A kubeconfig with a token of a ServiceAccount; `path` writes it, whole, over an earlier one."""
        token = self.token_for(namespace, account, seconds=seconds, pod=pod)
        self._kubeconfigs += 1
        written = self._write_kubeconfig(f"{account}-{self._kubeconfigs}", self._access(token=token), namespace)
        return written.replace(path) if path else written

    def kubeconfig_of_user(self, user: str, *groups: str) -> Path:
        """A kubeconfig with a client certificate for a person that RBAC knows by this name and these groups."""
        self._kubeconfigs += 1
        name = f"user-{self._kubeconfigs}"
        return self._write_kubeconfig(name, self._access(self._keys.sign(name, user, *groups)))

    def api_as(self, kubeconfig: Path | None = None) -> Api:
        """A connection of its own, as somebody or as the admin; close it. For threads, and to see what RBAC allows."""
        return Api(Access.of(kubeconfig) if kubeconfig else self.admin)

    def record(self, path: str, **query: Any) -> Recorder:
        """A context that records every version of every object of a list."""
        return Recorder(self.admin, path, **query)

    # Doing

    def kubectl(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        kubeconfig: Path | None = None,
        check: bool = True,
        seconds: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl, as the admin unless a kubeconfig says otherwise.

        Raises:
            AssertionError: It failed, and `check` is set; the text has what it said.
        """
        return self._run("kubectl", *arguments, stdin=stdin, kubeconfig=kubeconfig, check=check, seconds=seconds)

    def helm(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        kubeconfig: Path | None = None,
        check: bool = True,
        seconds: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Runs helm, with folders of its own, as the admin unless a kubeconfig says otherwise.

        Raises:
            AssertionError: It failed, and `check` is set; the text has what it said.
        """
        return self._run("helm", *arguments, stdin=stdin, kubeconfig=kubeconfig, check=check, seconds=seconds)

    def _run(
        self,
        name: str,
        *arguments: str | Path,
        stdin: str | bytes | None,
        kubeconfig: Path | None,
        check: bool,
        seconds: float,
    ) -> subprocess.CompletedProcess[str]:
        return clients.run(
            programs.find(name),
            [str(argument) for argument in arguments],
            kubeconfig=kubeconfig or self.kubeconfig,
            home=self.folder / "client",
            stdin=stdin,
            check=check,
            seconds=seconds,
        )

    def apply(self, what: str | Path, *options: str, namespace: str | None = None) -> str:
        """Applies manifests, given as text or as a file or folder, on the server's side. Returns what kubectl said."""
        where = ["--namespace", namespace] if namespace else []
        common = ["apply", "--server-side", "--force-conflicts", *where, *options]
        if isinstance(what, Path):
            return self.kubectl(*common, "--recursive", "--filename", what).stdout
        return self.kubectl(*common, "--filename", "-", stdin=what).stdout

    def install_crds(self, *paths: Path) -> None:
        """Applies manifests and waits until every CustomResourceDefinition is served."""
        for path in paths:
            self.apply(path)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "customresourcedefinitions", "--all")

    def create_namespace(self, name: str | None = None, **labels: str) -> str:
        """Makes a namespace that Pods can be created in at once. Returns its name, random unless given."""
        name = name or f"test-{secrets.token_hex(4)}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        # Pods need it, and the controllers would make it a little later.
        self._ensure(f"/api/v1/namespaces/{name}/serviceaccounts", "default")
        return name

    def delete_namespace(self, name: str) -> None:
        """Asks for a namespace's end and does not wait. Its Pods go at once: no kubelet will confirm their end."""
        self.api.delete(f"/api/v1/namespaces/{name}/pods", gracePeriodSeconds=0)
        self.api.delete(f"/api/v1/namespaces/{name}")

    def _ensure(self, path: str, name: str) -> None:
        try:
            self.api.create(path, {"metadata": {"name": name}})
        except ApiError as error:
            if error.code != 409:
                raise

    def audit_requests(self, user: str | None = None) -> list[audit.Request]:
        """What the audit log has so far, of one user (`system:serviceaccount:NAMESPACE:NAME`) or of all."""
        return [r for r in audit.read(self.audit_log) if user is None or r.user == user]

    # Trouble

    def storm(self, seed: int = 1) -> Storm:
        """A context: a door to the API server that misbehaves on order (`storm.py`)."""
        return Storm(self.admin, self._keys.server, self.folder, seed)

    def compact(self) -> int:
        """Makes etcd forget every version but the current one of each object. Returns the revision it kept.

        A watch or a page that the API server has to get from etcd from before that is answered with 410.
        """
        with Api(self._etcd_access) as etcd:
            current = int(etcd.create("/v3/kv/range", {"key": "AA=="})["header"]["revision"])
            etcd.create("/v3/kv/compaction", {"revision": current, "physical": True})
        return current

    def expire_watches(self) -> None:
        """Ends every watch, and every resourceVersion that a client knows is too old to go on from: it gets 410.

        An API server answers watches from its cache. A new one's cache begins where etcd stands, so it is enough that
        something was written since the client last heard, and that the API server starts again; the compaction takes
        from it the way back through etcd.
        """
        self.api_server.stop()
        with Api(self._etcd_access) as etcd:
            etcd.create("/v3/kv/put", {"key": "c2lwZ3c=", "value": "AA=="})  # a write that no client hears of
        self.compact()
        self.api_server.start()


def _answers(access: Access, path: str) -> bool:
    """Whether the server answers 200 there, soon."""
    with Api(access, seconds=2) as api:
        try:
            api.get(path)
        except ApiError:
            return False
        return True


def _own(path: Path) -> IO[bytes] | None:
    """A file that is ours for as long as it is open, even if we are killed; None when it is somebody else's."""
    mark = path.open("ab")
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        mark.close()
        return None
    return mark


def sweep() -> None:
    """Removes folders of control planes whose owner was killed before it could."""
    for owner in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/owner"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if mark := _own(owner):
                shutil.rmtree(owner.parent, ignore_errors=True)
                mark.close()
