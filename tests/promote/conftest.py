"""A repository with two environments, evidence in it as a sync would write it, and the commands on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sipgateway.cli import main
from sipgateway.git import notes
from sipgateway.git.repository import Repository
from sipgateway.promote.example import FILES
from sipgateway.reconcile.evidence import Evidence, NotReady, Verdict, signed
from tests.git.served import commit, git, new_repository

LAYOUT = """\
apiVersion: sipgateway.dev/v1alpha1
kind: Environments
environments:
  - name: staging
    namespace: telephony-staging
    gates: {readyFor: 60s}
  - name: production
    namespace: telephony
    own:
      - fields: [spec.username, spec.passwordFrom, spec.proxy]
"""


@dataclass
class Clone:
    """The repository of a person who promotes."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """`sipgw` with these arguments: exit code, standard output, standard error."""
        self.capsys.readouterr()
        try:
            code = main([*arguments, "--repository", str(self.folder)])
        except SystemExit as end:
            code = int(str(end.code))
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        return commit(self.folder, files, message)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def note(
        self,
        environment: str,
        verdict: Verdict = Verdict.GOOD,
        *,
        ago: int = 3600,
        key: Ed25519PrivateKey | None = None,
        at: str = "HEAD",
    ) -> None:
        """Evidence about an environment as a commit has it."""
        repository = Repository(self.folder)
        made = repository.commit_id(at)
        bad = verdict is not Verdict.GOOD
        known = Evidence(
            environment=environment,
            commit=made,
            tree=repository.tree_id(made, f"environments/{environment}"),
            verdict=verdict,
            judged_at=int(time.time()),
            ready_since=0 if bad else int(time.time()) - ago,
            gateways=1,
            ready=0 if bad else 1,
            not_ready=(NotReady("acme", "CredentialsRefused", "403 Forbidden"),) if bad else (),
        )
        notes.add(repository, environment, made, (signed(known, key) if key else known).line)


@pytest.fixture
def clone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Clone:
    """A clone as `sipgw env init` makes it, with evidence that staging works."""
    files = dict(FILES) | {"environments/environments.yaml": LAYOUT}
    one = Clone(new_repository(tmp_path / "clone", files), capsys)
    one.note("staging")
    return one


@pytest.fixture
def edit(clone: Clone) -> Callable[[int], str]:
    """`edit(900)`: another expireSeconds in staging, which works."""

    def change(seconds: int) -> str:
        path = "environments/staging/acme.yaml"
        before = clone.read(path)
        made = clone.commit({path: before.replace(before.partition("expireSeconds: ")[2][:3], str(seconds))})
        clone.note("staging")
        return made

    return change
