"""A repository of environments: what stands where, what became of it, and commits that promote or roll back.

In: a repository, revisions, keys that are trusted, the time. Out: promotions, gates, commits. The one step that others
see is a branch that moves to a commit that is complete: whoever is killed before has changed nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sipgateway.api.environments import Environment, Environments
from sipgateway.errors import InputError, SipgwError
from sipgateway.git import codes as git_codes
from sipgateway.git import notes, tags
from sipgateway.git.repository import Commit, Repository
from sipgateway.promote import codes, threeway
from sipgateway.reconcile.evidence import Evidence, Verdict, latest, parse
from sipgateway.source.git import read_environments

FROM, COMMIT, EVIDENCE, APPROVAL = "Promoted-From", "Promoted-Commit", "Evidence", "Approval"
ROLLBACK = "Rolled-Back-To"

#: Commits of an environment among which evidence of its content is looked for.
_LOOK_BACK = 200


@dataclass(frozen=True, slots=True)
class Unmet:
    """A gate that is not met: what, since when, and when it can be (both may be unknown)."""

    gate: str
    why: str
    since: int = 0
    when: int = 0

    def __str__(self) -> str:
        since = f" (since {moment(self.since)})" if self.since else ""
        when = f"; at {moment(self.when)} at the earliest" if self.when else ""
        return f"{self.gate}: {self.why}{since}{when}"


def moment(seconds: int) -> str:
    """A time for people."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@dataclass(slots=True)
class Project:
    """The repository.

    Attributes:
        trusted: keys of writers of evidence; None: whoever may write notes is believed.
        approvers: file with the keys of those who may approve with a tag (`signers.opened`).
    """

    repository: Repository
    trusted: Sequence[Ed25519PublicKey] | None = None
    approvers: Path | None = None

    def environments(self, commit: str) -> Environments:
        """The environments as a commit has them.

        Raises:
            InputError: it has none, or they cannot be understood.
        """
        return read_environments(self.repository, commit)

    def environment(self, commit: str, name: str) -> Environment:
        """One of them.

        Raises:
            InputError: it is not there.
        """
        all_of_them = self.environments(commit)
        found = all_of_them.find(name)
        if found is None:
            known = ", ".join(one.name for one in all_of_them.all)
            raise InputError(codes.NO_ENVIRONMENT.because("", f"There is no environment {name}; known are {known}."))
        return found

    def files(self, commit: str, environment: Environment) -> dict[str, bytes]:
        """The manifests of an environment."""
        return self.repository.files(commit, environment.folder)

    # Evidence and gates

    def evidence(self, commit: str, environment: Environment) -> Evidence | None:
        """What is known of an environment as a commit has it; a commit that did not touch it loses nothing."""
        tree = self.repository.tree_id(commit, environment.folder)
        if not tree:
            return None
        noted = notes.noted(self.repository, environment.name)
        if not noted:
            return None
        found: list[Evidence] = []
        for one in self.repository.history(commit, limit=_LOOK_BACK):
            if one.id in noted:
                found += parse(notes.read(self.repository, environment.name, one.id))
        return latest(found, environment.name, tree, self.trusted)

    def gates(self, commit: str, environment: Environment, now: int) -> list[Unmet]:
        """What keeps an environment's content, as a commit has it, from going on."""
        unmet = self._evidence_gate(self.evidence(commit, environment), environment, now)
        gates = environment.gates
        changed = next(iter(self.repository.history(commit, environment.folder, limit=1)), None)
        if changed is None or not (gates.approval or gates.approval_tag):
            return unmet
        if gates.approval:
            by = changed.trailer(gates.approval)
            if not by or _same_person(by, changed):
                who = "the author himself" if by else "nobody"
                what = f"{who} approves of commit {changed.id[:12]} with a trailer {gates.approval}"
                unmet.append(Unmet("approval", what, changed.at))
        if gates.approval_tag:
            found = self.approvals(commit, environment)
            if all(_same_person(one.signer, changed) for one in found):
                who = "the author himself" if found else "nobody"
                which = f"a signed tag {gates.approval_tag}/{environment.name}/NAME"
                what = f"{who} approves of commit {changed.id[:12]} with {which}"
                if self.approvers is None:
                    what = f"{which} is needed, and who may approve is not told: --approvers FILE"
                unmet.append(Unmet("approvalTag", what, changed.at))
        return unmet

    def approvals(self, commit: str, environment: Environment) -> list[tags.Approval]:
        """The signed tags that approve of an environment's content, as a commit has it."""
        beginning, folder = environment.gates.approval_tag, environment.folder
        if not beginning or self.approvers is None:
            return []
        tree = self.repository.tree_id(commit, folder)
        return tags.approvals(self.repository, beginning, environment.name, folder, tree, self.approvers)

    def _evidence_gate(self, known: Evidence | None, environment: Environment, now: int) -> list[Unmet]:
        name = environment.name
        if known is None:
            who = "" if self.trusted is None else " signed by a trusted key"
            return [Unmet("evidence", f"there is no evidence{who} that {name} works with this content")]
        if known.verdict is not Verdict.GOOD:
            about = ", ".join(f"{one.name} ({one.reason})" for one in known.not_ready[:5]) or known.verdict.value
            return [Unmet("evidence", f"{name} does not work with this content: {about}", known.judged_at)]
        waited = now - known.ready_since
        wanted = environment.gates.ready_for
        if waited < wanted:
            why = f"all gateways of {name} have been Ready for {max(waited, 0)} s of {wanted} s"
            return [Unmet("readyFor", why, known.ready_since, known.ready_since + wanted)]
        return []

    # Promotion

    def last_promotion(self, commit: str, source: Environment, destination: Environment) -> str | None:
        """The commit of which the destination has the source's content; None when nothing was ever promoted."""
        found = self._last_promotion(commit, source, destination)
        if found is None:
            return None
        try:
            return self.repository.commit_id(found)
        except SipgwError:
            return None  # history was rewritten: it is compared as if nothing had been

    def _last_promotion(self, commit: str, source: Environment, destination: Environment) -> str | None:
        """A rollback leads back to what it went back to."""
        seen: set[str] = set()
        while commit and commit not in seen:
            seen.add(commit)
            for one in self.repository.history(commit, destination.folder):
                back = one.trailer(ROLLBACK)
                if back:
                    commit = back
                    break
                if one.trailer(FROM) == source.name:
                    return one.trailer(COMMIT)
            else:
                return None
        return None

    def promotion(
        self,
        commit: str,
        source: Environment,
        destination: Environment,
        names: Collection[str] = (),
        *,
        take_source: bool = False,
        of: str = "",
    ) -> threeway.Promotion:
        """Works a promotion out.

        Args:
            commit: that the destination is at.
            source: from.
            destination: to.
            names: of SipGateways; empty for all.
            take_source: resolves conflicts.
            of: commit whose source is promoted; the same by default.
        """
        base = self.last_promotion(commit, source, destination)
        return threeway.promote(
            source,
            destination,
            base=None if base is None else self.files(base, source),
            now=self.files(of or commit, source),
            there=self.files(commit, destination),
            names=names,
            take_source=take_source,
        )

    # Commits

    def commit(
        self, branch: str, parent: str, files: Mapping[str, bytes | None], message: str, *, push: str = ""
    ) -> str:
        """One commit on a branch; a work tree that has the branch follows.

        Args:
            branch: an existing one, or a new one that begins at `parent`.
            parent: where the branch is, or is to begin.
            files: path -> content, None for one that goes.
            message: of the commit.
            push: remote that must take it first; empty for none.

        Raises:
            SipgwError: the branch has moved, files have changes that are not committed, or the remote says no.
        """
        repository = self.repository
        checked_out = repository.head_branch() == branch and not (repository.folder / "HEAD").is_file()
        if checked_out and not repository.is_clean(files):
            raise SipgwError(git_codes.DIRTY.because("", f"{', '.join(sorted(files)[:5])} or the index."))
        made = repository.write_commit(parent, files, message)
        before = parent if repository.has_branch(branch) else ""
        if push:  # first: what the remote does not take is nowhere
            repository.push(push, branch, made)
        repository.move_branch(branch, made, before, f"sipgw: {message.splitlines()[0]}")
        if checked_out:
            repository.catch_up(parent, made)
        return made

    def catch_up(self) -> bool:
        """Finishes what a commit of ours left to do in the work tree when it was killed. Returns whether it had to."""
        repository = self.repository
        if (repository.folder / "HEAD").is_file() or not repository.head_branch():
            return False
        head = repository.history("HEAD", limit=1)
        if not head or not head[0].parents or not (head[0].trailer(FROM) or head[0].trailer(ROLLBACK)):
            return False
        return repository.finish_catch_up(head[0].parents[0], head[0].id)


def message(subject: str, body: str, trailers: Sequence[tuple[str, str]]) -> str:
    """A commit's message."""
    marks = "".join(f"{name}: {value}\n" for name, value in trailers)
    return f"{subject}\n\n{body}\n\n{marks}" if body else f"{subject}\n\n{marks}"


def rollback_target(project: Project, commit: str, environment: Environment, *, last_good: bool) -> Commit | None:
    """The commit to go back to: the one before the last change of the environment, or the last with good evidence."""
    now = project.repository.tree_id(commit, environment.folder)
    history = project.repository.history(commit, environment.folder, limit=_LOOK_BACK)
    if not last_good:
        for one in history:
            for parent in one.parents[:1]:
                if project.repository.tree_id(parent, environment.folder) not in {"", now}:
                    return next(iter(project.repository.history(parent, limit=1)), None)
        return None
    for one in history:
        if project.repository.tree_id(one.id, environment.folder) == now:
            continue
        known = project.evidence(one.id, environment)
        if known is not None and known.verdict is Verdict.GOOD:
            return one
    return None


def rollback_files(project: Project, commit: str, target: str, environment: Environment) -> dict[str, bytes | None]:
    """What must be written so that an environment is as it was in another commit, byte for byte."""
    repository = project.repository
    there = {one.path: one.blob for one in repository.entries(commit, environment.folder)}
    then = {one.path: one.blob for one in repository.entries(target, environment.folder)}
    files: dict[str, bytes | None] = {path: None for path in there if path not in then}
    for path, blob in then.items():
        if there.get(path) != blob:
            files[path] = repository.run("cat-file", "blob", blob)
    return files


def _same_person(approver: str, commit: Commit) -> bool:
    """Whether `Name <address>`, `Name` or an address is that of a commit's author."""
    name, _, rest = approver.partition("<")
    own = {commit.author.strip().casefold(), commit.email.strip().casefold()} - {""}
    return not own.isdisjoint({name.strip().casefold(), rest.rstrip("> ").casefold()})
