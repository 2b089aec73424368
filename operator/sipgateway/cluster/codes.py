"""Every code of this room's errors: no way to the API server, no address to be asked at.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (exit messages, filters): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

NO_CLUSTER_ACCESS = Code(
    "NoClusterAccess",
    "There is no way to the Kubernetes API server.",
    "Neither a ServiceAccount's token (inside a pod) nor a usable kubeconfig file was found.",
    "Run it in a pod, or name a file: `--kubeconfig FILE` (or the variable KUBECONFIG).",
)
CANNOT_LISTEN = Code(
    "CannotListen",
    "The address for `/healthz`, `/readyz` and `/metrics` cannot be used.",
    "Another process has the port, or the address is none of this machine's.",
    "Choose another one: `--listen HOST:PORT`.",
)
