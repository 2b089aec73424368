"""The operator: SipGateways in, ConfigMaps, statuses and Events out.

In: what the API server says. Out: what `reconcile` and `render` decided, written with the resourceVersion that it was
decided on. Nothing of Kubernetes is known below this room but in `cluster`.
"""
