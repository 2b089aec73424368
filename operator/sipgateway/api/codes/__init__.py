"""Every code of a refusal or warning of this room: what it means, why it is one, what to do.

In: nothing. Out: `Code` values that make findings, and `CODES`, from which docs/codes.md is generated.
A code is part of the contract (conditions, lint output, CI filters): it is never renamed and never reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from sipgateway.api.codes import environments, lists, objects, parameters, structure, together
from sipgateway.api.codes.code import Code
from sipgateway.api.codes.structure import WRONG_TYPE

__all__ = ["CODES", "SECTIONS", "WRONG_TYPE", "Code"]


def codes_of(module: ModuleType) -> tuple[Code, ...]:
    """The codes that a module defines, in its order."""
    return tuple(value for value in vars(module).values() if isinstance(value, Code))


#: Heading -> codes, in the order of docs/codes.md.
SECTIONS: Mapping[str, tuple[Code, ...]] = MappingProxyType(
    {
        "The manifest and its names": codes_of(structure),
        "One parameter": codes_of(parameters),
        "Parameters together": codes_of(together),
        "Variables, subscriptions and extra parameters": codes_of(lists),
        "Secrets and other SipGateways": codes_of(objects),
        "Environments": codes_of(environments),
    }
)

#: All codes of this room.
CODES: tuple[Code, ...] = tuple(code for section in SECTIONS.values() for code in section)
