"""The way to a Kubernetes API server: credentials, a thin client, LIST and watch, the Lease; and a pod's probes.

In: an `Access`. Out: objects as plain mappings. Knows nothing of gateways: `kube` and `agent` stand on it.
"""
