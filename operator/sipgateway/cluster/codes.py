"""Every code of this room's errors: there is no way to the API server.

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
