"""A SipSwitch, read: what the agent of one switch pod says of its switch, as frozen values.

In: the object as JSON, written by an agent that may be newer than we are, or hostile. Out: a `SwitchReport`, always:
what cannot be read makes the report `unreadable`, and nothing in it counts then. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipgateway.api.conditions import BY_WORD, FROM_AGENTS, ConditionType, Reason, rank
from sipgateway.api.names import LABEL_SWITCH
from sipgateway.api.reasons import PROBLEM_ON_SWITCH

#: Characters of an agent's words that are kept: a message on a SipGateway, not a log.
MAX_WORDS = 240

_WORD = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,32}", re.ASCII)
_NOT_SHOWN = re.compile(r"[^\x20-\x7e\u00a0-\u2027\u202f-\u2065\u2070-\ud7ff\uf900-\uffef]+")
_COUNTS = ("wanted", "loaded", "registered", "registering", "failed", "foreign", "ghosts")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why some gateways of a switch are not as they should be; one value for all of them.

    Attributes:
        about: `Programmed` or `Registered`: the condition that it speaks against.
        reason: CamelCase word; empty when the agent's is none.
        code: SIP status, 0 when there is none.
        message: the switch's or registrar's own words, cut, without control characters.
    """

    about: ConditionType
    reason: str
    code: int = 0
    message: str = ""

    @property
    def cause(self) -> Reason:
        """The row of the table that it is: ProblemOnSwitch for a word that agents have no business with."""
        known = BY_WORD.get(self.reason)
        return known if known in FROM_AGENTS and self.about in known.types else PROBLEM_ON_SWITCH

    @property
    def words(self) -> str:
        """What the message of a condition says of it: `403 Forbidden`."""
        text = self.message
        if self.code and not text.startswith(str(self.code)):
            text = f"{self.code} {text}".rstrip()
        if self.cause is PROBLEM_ON_SWITCH and self.reason:
            text = f"{self.reason}: {text}" if text else self.reason
        return text


def _nothing() -> Mapping[str, Problem]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """What one agent says.

    Attributes:
        pod, namespace: name and namespace of the SipSwitch, which are those of the pod.
        switch: value of its label; only the Pod's own says which fleet it belongs to.
        owner_uid: uid of the Pod that owns it, empty when none does. A report counts only for that Pod.
        heartbeat: the agent's clock, as text: only whether it changed means anything.
        phase: `Starting`, `Running`, `Draining`, another word of a newer agent, or empty.
        observed: every ConfigMap of the fleet up to this resourceVersion is proved, or named in a problem.
        reachable: whether the agent reaches its switch; what is not said is not so.
        unreadable: what cannot be read, in words; empty when everything can.
        programmed, registered: gateway name -> the worst problem about that condition.
        problems: all of them, as the agent has them.
    """

    pod: str
    namespace: str = ""
    switch: str = ""
    owner_uid: str = ""
    uid: str = ""
    resource_version: str = ""
    heartbeat: str = ""
    phase: str = ""
    observed: int = 0
    agent_version: str = ""
    switch_version: str = ""
    seal_keys: frozenset[str] = frozenset()
    reachable: bool = False
    reachable_reason: str = ""
    reachable_message: str = ""
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[Problem, ...] = ()
    programmed: Mapping[str, Problem] = field(default_factory=_nothing, repr=False)
    registered: Mapping[str, Problem] = field(default_factory=_nothing, repr=False)
    unreadable: str = ""


def parse_switch(obj: object) -> SwitchReport:
    """Reads a SipSwitch. Never raises: whatever comes, a report comes out."""
    body = _mapping(obj)
    metadata = _mapping(body.get("metadata"))
    status = _mapping(body.get("status"))
    switch = _mapping(status.get("switch"))
    wrong: list[str] = [
        f"{name} is not an object"
        for name, value in (("status", body.get("status")), ("status.switch", status.get("switch")))
        if value is not None and not isinstance(value, Mapping)
    ]
    observed = status.get("observedResourceVersion") or "0"
    if not isinstance(observed, str) or _NUMBER.fullmatch(observed) is None:
        wrong.append("status.observedResourceVersion is no number")
        observed = "0"
    problems, programmed, registered = _problems(status.get("problems"), wrong)
    return SwitchReport(
        pod=_text(metadata.get("name")),
        namespace=_text(metadata.get("namespace")),
        switch=_text(_mapping(metadata.get("labels")).get(LABEL_SWITCH)),
        owner_uid=_owner(metadata.get("ownerReferences")),
        uid=_text(metadata.get("uid")),
        resource_version=_text(metadata.get("resourceVersion")),
        heartbeat=_text(status.get("heartbeat")),
        phase=_word(status.get("phase")),
        observed=int(observed),
        agent_version=_words(status.get("agentVersion")),
        switch_version=_words(status.get("switchVersion")),
        seal_keys=frozenset(key for key in _list(status.get("sealKeys")) if isinstance(key, str)),
        reachable=switch.get("reachable") is True,
        reachable_reason=_word(switch.get("reason")),
        reachable_message=_words(switch.get("message")),
        counts=_counts(status.get("counts")),
        problems=problems,
        programmed=MappingProxyType(programmed),
        registered=MappingProxyType(registered),
        unreadable="; ".join(wrong[:3]),
    )


def _problems(value: object, wrong: list[str]) -> tuple[tuple[Problem, ...], dict[str, Problem], dict[str, Problem]]:
    """The problems, and by gateway name the worst about each condition. What is about neither counts as Programmed."""
    found: list[Problem] = []
    programmed: dict[str, Problem] = {}
    registered: dict[str, Problem] = {}
    if value is not None and not isinstance(value, list):
        wrong.append("status.problems is no list")
    for number, entry in enumerate(_list(value)):
        names = entry.get("gateways") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(names, list):
            wrong.append(f"status.problems[{number}] names no gateways")
            continue
        about = ConditionType.REGISTERED if entry.get("about") == "Registered" else ConditionType.PROGRAMMED
        problem = Problem(about, _word(entry.get("reason")), _code(entry.get("code")), _words(entry.get("message")))
        found.append(problem)
        by_name = registered if about is ConditionType.REGISTERED else programmed
        for name in names:
            if not isinstance(name, str):
                wrong.append(f"status.problems[{number}] names no gateways")
                break
            before = by_name.get(name)
            if before is None or _worse(problem, before):
                by_name[name] = problem
    return tuple(found), programmed, registered


def _worse(one: Problem, other: Problem) -> bool:
    return _order(one) < _order(other)


def _order(problem: Problem) -> tuple[int, str, int, str]:
    return rank(problem.cause), problem.reason, problem.code, problem.message


def _owner(value: object) -> str:
    """The uid of the Pod that owns it: the first one, as there is one."""
    for reference in _list(value):
        if isinstance(reference, Mapping) and reference.get("kind") == "Pod" and reference.get("apiVersion") == "v1":
            return _text(reference.get("uid"))
    return ""


def _counts(value: object) -> Mapping[str, int]:
    counts = _mapping(value)
    read = {name: _integer(counts.get(name)) for name in _COUNTS}
    return MappingProxyType({name: count for name, count in read.items() if count is not None and count >= 0})


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _code(value: object) -> int:
    code = _integer(value)
    return code if code is not None and 100 <= code <= 999 else 0


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) is not None else ""


def _words(value: object) -> str:
    """Text for people: one line, without what terminals act on, cut."""
    if not isinstance(value, str):
        return ""
    shown = " ".join(_NOT_SHOWN.sub(" ", value[: 4 * MAX_WORDS]).split())
    return shown if len(shown) <= MAX_WORDS else f"{shown[: MAX_WORDS - 3].rstrip()}..."
