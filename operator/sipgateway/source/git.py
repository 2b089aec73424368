"""One commit as a source: the manifests of an environment, checked whole, before anybody acts on them.

In: a repository, a commit. Out: environments; the SipGateways of one, as objects to apply; and every finding with file
and line. Files come from git's own store: nothing is checked out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sipgateway.api import environments
from sipgateway.api.codes.objects import SECRET_MISSING
from sipgateway.api.environments import Environment, Environments
from sipgateway.api.names import ANNOTATION_COMMIT, ANNOTATION_PATH, API_VERSION, KIND, LABEL_SYNC
from sipgateway.errors import Finding, InputError, Location, Severity
from sipgateway.git.repository import Repository
from sipgateway.source import codes
from sipgateway.source.documents import read_documents
from sipgateway.source.folder import snapshot_of_files
from sipgateway.source.local import accepted
from sipgateway.source.manifests import Manifest

#: Of the manifest that an object was last applied from: equal digests, equal manifests.
ANNOTATION_DIGEST = "sipgateway.dev/manifest-digest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One SipGateway that a commit asks for.

    Attributes:
        body: to apply; without the commit, which is that of the last change.
        digest: of what its manifest says.
    """

    name: str
    path: str
    body: Mapping[str, Any] = field(repr=False)
    digest: str
    manifest: Manifest = field(repr=False)

    def applied(self, commit: str) -> dict[str, Any]:
        """The object to apply, for a commit."""
        meta = self.body["metadata"]
        notes = {**meta["annotations"], ANNOTATION_COMMIT: commit}
        return {**self.body, "metadata": {**meta, "annotations": notes}}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a commit asks for in one environment.

    Attributes:
        tree: id of the environment's folder.
        findings: refusals and warnings; with a refusal nothing of the commit may be applied.
    """

    commit: str
    tree: str
    wanted: tuple[Wanted, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that stop the commit."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)


def read_environments(repository: Repository, commit: str) -> Environments:
    """The environments as a commit has them.

    Raises:
        InputError: it has none, or they cannot be understood.
    """
    data = repository.file(commit, environments.FILE)
    if data is None:
        what = f"Commit {commit[:12]} has no {environments.FILE}."
        raise InputError(codes.NO_ENVIRONMENTS.because("", what))
    parsed, findings = read_documents(data, environments.FILE)
    for finding in (*findings, *(f for one in parsed for f in one.findings)):
        raise InputError(finding)
    found, wrong = environments.read(parsed[0].value if parsed else None)
    if found is None:
        place = parsed[0].document.locate(wrong[0].field) if parsed else Location(environments.FILE)
        raise InputError(wrong[0].at(place))
    return found


def check(repository: Repository, commit: str, environment: Environment, folder: str) -> Checked:
    """Reads and judges everything that a commit has for an environment, as `sipgw lint` does, and more strictly.

    Args:
        repository: with the commit.
        commit: its id.
        environment: whose namespace everything must be for.
        folder: in the commit.
    """
    tree = repository.tree_id(commit, folder)
    try:
        files = repository.files(commit, folder) if tree else {}
    except InputError as error:
        return Checked(commit, tree, (), (error.finding,))
    snapshot = snapshot_of_files({path: data for path, data in files.items() if path != environments.FILE})
    findings = [f for f in accepted(snapshot).findings if f.code != SECRET_MISSING.name]
    for one in snapshot.ignored:
        what = f"a {one.kind} stands here; only {KIND}s are applied."
        findings.append(codes.FOREIGN_KIND.because("kind", what).at(one.location))
    for secret in snapshot.secrets:
        what = f"Secret {secret.secret.name} stands in the repository."
        findings.append(codes.SECRET_IN_GIT.because("kind", what).at(secret.manifest.start()))
    wanted = []
    for gateway in snapshot.gateways:
        manifest = gateway.manifest
        place, obj = manifest.start(), dict(manifest.obj)
        given = (obj.get("metadata") or {}).get("namespace")  # type: ignore[attr-defined] # a mapping: it was parsed
        if given not in (None, environment.namespace):
            what = f"it is for namespace {given}; {environment.name} is {environment.namespace}."
            findings.append(codes.FOREIGN_NAMESPACE.because("metadata.namespace", what).at(place))
        wanted.append(_wanted(gateway.gateway.name, place.file, obj, environment, manifest))
    first: dict[str, Wanted] = {}
    for each in wanted:
        # Lint takes a manifest without a namespace for one of another namespace than that of the environment.
        if first.setdefault(each.name, each) is not each:
            what = f"{environment.namespace}/{each.name} stands in {first[each.name].manifest.start()} already."
            findings.append(codes.DUPLICATE_OBJECT.because("metadata.name", what).at(each.manifest.start()))
    return Checked(commit, tree, tuple(sorted(wanted, key=lambda w: w.name)), tuple(findings))


def placed(finding: Finding, one: Wanted) -> Finding:
    """A finding about an object, at the line of its manifest."""
    return replace(finding, location=one.manifest.locate(finding.field))


def _wanted(name: str, path: str, obj: Mapping[str, Any], environment: Environment, manifest: Manifest) -> Wanted:
    meta = obj.get("metadata") or {}
    says: dict[str, Any] = {
        "labels": meta.get("labels") or {},
        "annotations": meta.get("annotations") or {},
        "spec": obj.get("spec"),
    }
    digest = hashlib.sha256(json.dumps(says, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": environment.namespace,
            "labels": {**says["labels"], LABEL_SYNC: environment.name},
            "annotations": {**says["annotations"], ANNOTATION_PATH: path, ANNOTATION_DIGEST: digest},
        },
        "spec": obj.get("spec") or {},
    }
    return Wanted(name, path, body, digest, manifest)
