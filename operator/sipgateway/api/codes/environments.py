"""Codes about the file of environments."""

from __future__ import annotations

from sipgateway.api.codes.code import Code

BAD_ENVIRONMENTS = Code(
    "BadEnvironments",
    "Something in environments.yaml cannot be understood.",
    "A field that is taken for another one could move what belongs to one environment into another.",
    "Correct it; docs/promotion.md has an example, `sipgw env init` writes one.",
)
