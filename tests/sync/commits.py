"""A repository with an environment, and what a sync of it does in one look. In: manifests. Out: evidence, requests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import yaml

from sipgateway.api.environments import Environment
from sipgateway.cluster import access
from sipgateway.cluster.client import Api
from sipgateway.git.credentials import environment
from sipgateway.git.mirror import Mirror
from sipgateway.source.git import Checked, check
from sipgateway.source.sync import Report, Sync
from tests.git.served import commit, new_repository

FOLDER = "environments/staging"


def manifest(name: str, **spec: Any) -> str:
    """A gateway that does not register, so that it needs nobody else."""
    body = {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {"name": name},
        "spec": {"proxy": "sip.example.com", "register": False, **spec},
    }
    return yaml.safe_dump(body, sort_keys=False)


class Commits:
    """A repository, its copy, and a namespace."""

    def __init__(self, folder: Path, namespace: str = "voice", kubeconfig: Path | None = None) -> None:
        self.source = new_repository(folder / "source", {"README.md": "Trunks\n"})
        self.mirror = Mirror(str(self.source), "main", folder / "mirror", environment(None))
        self.environment = Environment("staging", namespace)
        self._kubeconfig = kubeconfig

    def commit(self, files: dict[str, str | None]) -> Checked:
        """A commit with these files in the environment's folder, fetched and checked."""
        commit(self.source, {f"{FOLDER}/{name}": content for name, content in files.items()})
        return self.head()

    def head(self) -> Checked:
        """The branch as it is, fetched and checked."""
        with self.mirror.held():
            made = self.mirror.fetch()
        return check(self.mirror.repository, made, self.environment, FOLDER)

    def apply(self, checked: Checked, **options: Any) -> Report:
        """Applies it with the rights of a sync."""

        async def work() -> Report:
            async with Api(await access.find(str(self._kubeconfig), None)) as api:
                return await Sync(api, self.environment, **options).apply(checked)

        return asyncio.run(work())
