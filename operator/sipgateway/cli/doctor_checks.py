"""Judgements of `sipgw doctor`: pure functions from what was read to lines for a person.

In: objects as the API server has them, a survey, or the `ApiError` in place of them. Out: `Check` values. No I/O.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sipgateway.api.codes import Code
from sipgateway.api.names import GROUP, LABEL_KEYS, VERSION
from sipgateway.cli import codes
from sipgateway.cluster.client import ApiError, Obj
from sipgateway.errors import Finding
from sipgateway.kube.records import FleetId
from sipgateway.kube.rotate import Seen
from sipgateway.kube.survey import Gateway, Pod
from sipgateway.render.keys import secret_name

CRDS = (f"sipgateways.{GROUP}", f"sipswitches.{GROUP}")
POLICIES = (f"secrets.{GROUP}", f"configmaps.{GROUP}", f"sipswitches.{GROUP}")

#: Group, resource and verbs that the operator needs in each of its namespaces; a test holds them against the chart.
RIGHTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (GROUP, "sipgateways", ("get", "list", "watch")),
    (GROUP, "sipgateways/status", ("patch",)),
    (GROUP, "sipswitches", ("list", "watch")),
    ("", "pods", ("list", "watch")),
    ("", "secrets", ("get", "list", "watch", "create", "patch")),
    ("", "configmaps", ("get", "list", "watch", "create", "patch", "delete")),
    ("", "events", ("create",)),
)

#: Seconds that two clocks may be apart. The API server's times are whole seconds.
SKEW = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line.

    Attributes:
        name: what was looked at, one word.
        where: the object.
        finding: what is wrong; None when all is well.
        text: what is well.
    """

    name: str
    where: str
    finding: Finding | None = None
    text: str = ""

    @property
    def level(self) -> str:
        """`ok`, `warning` or `error`."""
        return "ok" if self.finding is None else str(self.finding.severity)

    @property
    def unknown(self) -> bool:
        """The check could not be made."""
        return self.finding is not None and self.finding.code == codes.CANNOT_CHECK.name


def wrong(name: str, where: str, code: Code, what: str, action: str | None = None) -> Check:
    """A check that found something."""
    return Check(name, where, code.because(where, what, action))


def cannot(name: str, where: str, error: ApiError) -> Check:
    """A check that could not be made."""
    why = "forbidden" if error.status == 403 else str(error)
    text = f"cannot check {where}: {why}" + (f" ({error.message})." if error.status == 403 else ".")
    return wrong(name, where, codes.CANNOT_CHECK, text)


def crd(name: str, found: Obj | ApiError) -> Check:
    """A CustomResourceDefinition and its versions."""
    if isinstance(found, ApiError):
        if found.not_found:
            return wrong("crd", name, codes.CRD_MISSING, "it is not installed.")
        return cannot("crd", name, found)
    served = [v["name"] for v in found["spec"]["versions"] if v.get("served")]
    stored = (found.get("status") or {}).get("storedVersions") or []
    if VERSION not in served:
        return wrong("crd", name, codes.CRD_MISSING, f"it serves {', '.join(served) or 'nothing'}, not {VERSION}.")
    if others := [one for one in stored if one != VERSION]:
        text = f"objects may be stored as {', '.join(others)}."
        return wrong("crd", name, codes.CRD_OLD_VERSION, text)
    return Check("crd", name, text=f"{VERSION} is served and stored")


def policy(name: str, found: Obj | ApiError, bindings: Sequence[Obj] | ApiError) -> Check:
    """An admission policy and whether something binds it."""
    if isinstance(found, ApiError):
        if found.not_found:
            return wrong("policy", name, codes.POLICY_MISSING, "it is not installed.")
        return cannot("policy", name, found)
    if isinstance(bindings, ApiError):
        return cannot("policy", f"bindings of {name}", bindings)
    specs = [b["spec"] for b in bindings if b["spec"].get("policyName") == name]
    if not any("Deny" in (spec.get("validationActions") or ()) for spec in specs):
        return wrong("policy", name, codes.POLICY_MISSING, "no binding makes it deny anything.")
    return Check("policy", name, text="installed and bound")


def rights(account: str, namespace: str, answers: Mapping[str, bool] | ApiError) -> Check:
    """What the operator may do in a namespace: `verb resource` -> whether."""
    where = f"{account} in {namespace}"
    if isinstance(answers, ApiError):
        return cannot("rbac", where, answers)
    if lacking := [right for right, allowed in answers.items() if not allowed]:
        return wrong("rbac", where, codes.OPERATOR_RIGHT_MISSING, f"it may not {', '.join(lacking)}.")
    return Check("rbac", where, text=f"all {len(answers)} rights")


def lease(where: str, found: Obj | ApiError, now: dt.datetime | None) -> list[Check]:
    """The operator's Lease: held, renewed lately by the API server's clock, by a holder whose clock is right."""
    if isinstance(found, ApiError):
        if found.not_found:
            return [wrong("lease", where, codes.LEASE_NOT_HELD, "there is none: no operator ever ran here.")]
        return [cannot("lease", where, found)]
    spec = found.get("spec") or {}
    holder = spec.get("holderIdentity")
    written, renewed = _written(found, "f:spec"), time(spec.get("renewTime"))
    if not holder:
        return [wrong("lease", where, codes.LEASE_NOT_HELD, "nobody holds it.")]
    age = None if now is None or written is None else (now - written).total_seconds()
    if age is not None and age > 2 * float(spec.get("leaseDurationSeconds") or 15):
        return [wrong("lease", where, codes.LEASE_NOT_HELD, f"{holder} has not renewed it for {age:.0f} s.")]
    return [Check("lease", where, text=f"held by {holder}"), *clock(f"operator {holder}", renewed, written)]


def clock(whose: str, theirs: dt.datetime | None, server: dt.datetime | None) -> list[Check]:
    """Somebody's clock against the API server's; nothing when one of the times is not known."""
    if theirs is None or server is None:
        return []
    apart = (theirs - server).total_seconds()
    if abs(apart) > SKEW:
        side = "ahead of" if apart > 0 else "behind"
        text = f"its clock is {abs(apart):.0f} s {side} the API server's."
        return [wrong("clock", whose, codes.CLOCK_SKEW, text)]
    return [Check("clock", whose, text=f"within {SKEW:g} s of the API server's")]


def fleets(gateways: Iterable[Gateway], pods: Mapping[FleetId, Sequence[Pod]]) -> list[Check]:
    """Which fleets are named, and which have pods."""
    named = {g.fleet for g in gateways if not g.suspend}
    every = {g.fleet for g in gateways}
    found = []
    for fleet in sorted(every | set(pods)):
        if not pods.get(fleet):
            if fleet in named:
                text = f"no pod has the label {GROUP}/switch={fleet.switch}."
                found.append(wrong("fleet", str(fleet), codes.FLEET_WITHOUT_PODS, text))
        elif fleet not in every:
            text = f"no SipGateway has spec.switch {fleet.switch}."
            found.append(wrong("fleet", str(fleet), codes.PODS_WITHOUT_GATEWAYS, text))
        else:
            found.append(Check("fleet", str(fleet), text=f"{len(pods[fleet])} pods"))
    return found


def pod(one: Pod) -> Check:
    """A switch pod and its agent."""
    where = f"{one.fleet.namespace}/{one.state.name}"
    if (trouble := one.state.trouble) is not None:
        text = f"{trouble.reason.word}: {trouble.words or trouble.reason.meaning}"
        return wrong("pod", where, codes.SWITCH_POD_TROUBLE, text)
    if one.state.starting and not (one.report and one.report.reachable):
        return Check("pod", where, text="starting")
    return Check("pod", where, text="its agent reports and reaches the switch")


def socket(one: Pod) -> list[Check]:
    """What the agent says against the way to its switch, though it reaches it; nothing when that is well."""
    report = one.report
    if one.state.trouble is not None or report is None or not report.reachable or not report.reachable_reason:
        return []
    where = f"{one.fleet.namespace}/{one.state.name}"
    return [wrong("socket", where, codes.SOCKET_UNSAFE, f"{report.reachable_reason}.")]


def loading(one: Pod, gateways: Sequence[Gateway], tls: frozenset[str]) -> list[Check]:
    """What a switch has not loaded, and the likely cause.

    Args:
        one: a pod.
        gateways: those of its fleet that are wanted.
        tls: gateway names that ask for TLS.
    """
    where = f"{one.fleet.namespace}/{one.state.name}"
    against = {g.name: g for g in gateways if g.name in one.state.programmed}
    plain = {name for name in against if one.state.programmed[name].cause.word == "NotLoaded"}
    found = []
    for profile in sorted({against[name].profile for name in plain}):
        names = sorted(name for name in plain if against[name].profile == profile)
        wanted = {g.name for g in gateways if g.profile == profile}
        at = f"{where} profile {profile}"
        secured = [name for name in names if name in tls]
        if set(names) == wanted and len(secured) < len(names):
            text = f"none of our {len(names)} gateways is loaded."
            found.append(wrong("include", at, codes.INCLUDE_LINE_MISSING, text))
            continue
        if secured:
            found.append(wrong("tls", at, codes.TLS_PROFILE, f"not loaded: {', '.join(secured)}."))
        if others := [name for name in names if name not in tls]:
            found.append(wrong("loaded", at, codes.GATEWAY_NOT_LOADED, f"not loaded: {', '.join(others)}."))
    for name in sorted(set(against) - plain):
        problem = one.state.programmed[name]
        text = f"{name}: {problem.cause.word} {problem.words}".rstrip() + "."
        found.append(wrong("loaded", where, codes.GATEWAY_NOT_LOADED, text))
    return found


def asks_for_tls(spec: Mapping[str, object]) -> bool:
    """Whether a SipGateway's spec asks for TLS."""
    if str(spec.get("registerTransport") or "").lower() == "tls":
        return True
    proxies = (str(spec.get(name) or "").lower() for name in ("proxy", "registerProxy", "outboundProxy"))
    return any("transport=tls" in proxy for proxy in proxies)


def keys(fleet: FleetId, secret: Obj | ApiError, seen: Seen | Finding | ApiError) -> Check:
    """The keys of a fleet. Of the Secret only its labels are looked at here."""
    where = f"{fleet.namespace}/{secret_name(fleet.switch)}"
    if isinstance(seen, ApiError):
        return cannot("keys", where, seen)
    if isinstance(seen, Finding):
        return Check("keys", where, Finding(seen.code, where, seen.message, seen.action))
    if isinstance(secret, ApiError):
        return cannot("keys", where, secret)
    if (secret["metadata"].get("labels") or {}).get(LABEL_KEYS) != fleet.switch:
        mend = f"kubectl -n {fleet.namespace} label secret {secret_name(fleet.switch)} {LABEL_KEYS}={fleet.switch}"
        return wrong("keys", where, codes.KEYS_UNLABELLED, f"it lacks {LABEL_KEYS}.", mend)
    lost = {name: ids - set(seen.keys.ids) for name, ids in seen.sealed.items()}
    if short := {name: ids for name, ids in lost.items() if ids}:
        text = f"seal keys {', '.join(sorted(set().union(*short.values())))} are needed by {len(short)} ConfigMaps."
        return wrong("keys", where, codes.KEYS_NOT_THOSE, text)
    return Check("keys", where, text=f"labelled; seal keys {', '.join(seen.keys.ids)}")


def _written(obj: Obj, part: str) -> dt.datetime | None:
    times = [
        time(entry.get("time"))
        for entry in obj["metadata"].get("managedFields") or ()
        if part in (entry.get("fieldsV1") or {})
    ]
    return max((one for one in times if one is not None), default=None)


def time(text: object) -> dt.datetime | None:
    """A time as Kubernetes writes it; None when it is none."""
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
