"""The API server's audit log. In: a policy. Out: the requests that it saw, as the server wrote them down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What ServiceAccounts did. Bodies of what they wrote, so that a test can say who wrote what; never those of Secrets.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: None
    userGroups: [system:masters, "system:serviceaccounts:kube-system"]
  - level: None
    users: ["system:apiserver", "system:kube-controller-manager", "system:anonymous"]
  - level: Metadata
    resources: [{group: "", resources: [secrets, serviceaccounts/token]}]
  - level: RequestResponse
    verbs: [create, update, patch, delete, deletecollection]
  - level: Metadata
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the audit log has it."""

    user: str
    verb: str
    uri: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    event: dict[str, Any]

    @classmethod
    def of(cls, event: dict[str, Any]) -> Request:
        """What an audit event says."""
        about = event.get("objectRef", {})
        return cls(
            event["user"].get("username", ""),
            event["verb"],
            event["requestURI"],
            about.get("resource", ""),
            about.get("subresource", ""),
            about.get("namespace", ""),
            about.get("name", ""),
            event.get("responseStatus", {}).get("code", 0),
            event,
        )


def read(log: Path) -> list[Request]:
    """All requests so far. A watch stands in it when it started and again when it ended.

    The server writes a line after it has answered, so what was just done may be about to appear: wait for it.
    """
    if not log.exists():
        return []
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    return [Request.of(json.loads(line)) for line in whole.split(b"\n") if line]
