"""What a step means for the people who use the trunk: words to decide by. Pure; no secret is ever named.

In: a step, and the gateway as it is and as it shall be. Out: sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.params import BY_XML, PARAMS
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.render.readback import ReadGateway

_LONGEST = 60

#: Parameters whose old value may have come from a Secret: a file does not say, so it is never shown.
_MAY_BE_SECRET = frozenset(row.xml for row in PARAMS if row.secret_source)


@dataclass(frozen=True, slots=True)
class Impact:
    """One gateway's change.

    Attributes:
        step: what would be done.
        changes: what differs, one entry per parameter or variable, e.g. `proxy a -> b`.
        effect: what callers and the carrier would notice.
        disruptive: whether new calls through it fail for a moment or for good.
    """

    step: Step
    changes: tuple[str, ...]
    effect: str
    disruptive: bool

    def __str__(self) -> str:
        changes = ", ".join(self.changes) or self.step.why
        return f"{self.step.kind} {self.step.name}: {changes}; {self.effect}"


def impact(step: Step, before: ReadGateway | None, after: Gateway | None) -> Impact:
    """Words for a step.

    Args:
        step: from the plan.
        before: what is loaded, as far as its file still says; None when that is not known.
        after: what shall be loaded; None for a removal.
    """
    changes = _changes(before, after) if before is not None and after is not None else ()
    if step.kind is Kind.REMOVE:
        goes = "un-registers, then " if step.registered else ""
        return Impact(step, changes, f"{goes}new calls through it fail; calls in progress survive", disruptive=True)
    if not step.kill:
        effect = "registers with " + _registrar(after) if step.registers else "takes calls at once"
        return Impact(step, changes, f"{effect}; no other gateway is touched", disruptive=False)
    if step.moves:
        again = "registers from there" if step.registers else "takes calls there"
        effect = f"{again}; new calls through it fail for up to 4 s, calls in progress survive"
        return Impact(step, changes, effect, disruptive=True)
    if not step.registers:
        gone = "un-registers; " if step.registered else ""
        return Impact(step, changes, f"{gone}no gap worth naming (about 2 ms), calls in progress survive", False)
    again = "re-registers" if step.registered else "registers"
    effect = f"{again}; new outbound calls through it fail for about 1 s, calls in progress survive"
    return Impact(step, changes, effect, disruptive=True)


def _registrar(gateway: Gateway | None) -> str:
    if gateway is None:
        return "its registrar"
    return gateway.get("register-proxy") or gateway.get("proxy") or gateway.get("realm") or gateway.name


def _changes(before: ReadGateway, after: Gateway) -> tuple[str, ...]:
    found: list[str] = []
    old = dict(before.params)
    new = {p.name: p.value for p in after.parameters}
    secret = {p.name for p in after.parameters if p.secret} | {"password"}
    for name in (*new, *(n for n in old if n not in new)):
        if old.get(name) == new.get(name):
            continue
        if name in secret:
            found.append(f"{name} changed")
        else:
            before_it = "(not shown)" if name in _MAY_BE_SECRET and name in old else _show(old.get(name))
            found.append(f"{_field(name)} {before_it} -> {_show(new.get(name))}")
    old_variables = [v for v in before.variables if v[0] != REVISION_VARIABLE]
    new_variables = [(v.name, v.value, v.direction) for v in after.variables]
    if old_variables != new_variables:
        names = {v[0] for v in old_variables} ^ {v[0] for v in new_variables}
        names |= {v[0] for v in new_variables if v not in old_variables}
        names |= {v[0] for v in old_variables if v not in new_variables}
        found.append("variables " + ", ".join(sorted(names)) if names else "order of variables")
    if len(before.subscriptions) != len(after.subscriptions) or [s.event for s in before.subscriptions] != [
        s.event for s in after.subscriptions
    ]:
        found.append("subscriptions")
    return tuple(found)


def _field(name: str) -> str:
    row = BY_XML.get(name)
    return row.field if row else name


def _show(value: str | None) -> str:
    if value is None:
        return "(not set)"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "..."
