"""The switch's side: files under the switch's includes, and the executor that carries a plan out over ESL.

In: desired gateways. Out: files, ESL commands, proof. Knows nothing of where manifests come from.
"""
