"""`sipgw doctor`: looks at an install in a cluster and says what is wrong with it and what to do. Reads only."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
from collections import Counter
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from sipgateway.api.names import API_VERSION, PLURAL
from sipgateway.cli.findings import write
from sipgateway.cli.status import add_cluster
from sipgateway.errors import ExitCode, Finding, SipgwError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipgateway.cli.doctor_checks import Check
    from sipgateway.cluster.client import Api, ApiError, Obj
    from sipgateway.kube.records import FleetId
    from sipgateway.kube.rotate import Seen

HELP = (
    "Looks at an install in a cluster: definitions, policies, the operator's rights and Lease, fleets, keys, switch "
    "pods and clocks. Reads only. Ends with 0 when there is no error and everything could be checked, else with 1."
)

_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add_cluster(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--namespace", "-n", metavar="NAME", help="where to look (default: the kubeconfig's)")
    where.add_argument("--all-namespaces", "-A", action="store_true", help="look at all namespaces")
    parser.add_argument(
        "--operator-namespace", default="sipgateway-system", metavar="NAME", help="default: %(default)s"
    )
    parser.add_argument(
        "--operator-account", default="sipgateway-operator", metavar="NAME", help="its ServiceAccount: %(default)s"
    )
    parser.add_argument("--lease-namespace", metavar="NAME", help="of the Lease (default: --operator-namespace)")
    parser.add_argument("--lease-name", default="sipgateway-operator", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--output", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    found = asyncio.run(_run(args))
    write(as_json(found) if args.output == "json" else as_text(found))
    bad = any(check.level == "error" or check.unknown for check in found)
    return ExitCode.FAILED if bad else ExitCode.OK


async def _run(args: argparse.Namespace) -> list[Check]:
    from sipgateway.cluster import access  # noqa: PLC0415 - the API server's client is not wanted by other commands
    from sipgateway.cluster.client import Api  # noqa: PLC0415

    found = await access.find(args.kubeconfig, args.context)
    namespace = None if args.all_namespaces else args.namespace or found.namespace
    async with Api(found) as api:
        return [*await _install(api, args), *await _namespaces(api, args, namespace)]


async def _install(api: Api, args: argparse.Namespace) -> list[Check]:
    """What there is once in a cluster."""
    from sipgateway.cli import doctor_checks as checks  # noqa: PLC0415
    from sipgateway.cluster.client import ApiError  # noqa: PLC0415

    now: dt.datetime | None = None
    found: list[Check] = []
    try:
        now = parsedate_to_datetime(await api.date())
    except ApiError as error:
        found.append(checks.cannot("clock", "the API server", error))
    except ValueError:
        pass  # a server, or something before it, that does not tell its time
    found += checks.clock("this machine", dt.datetime.now(dt.UTC), now)
    for name in checks.CRDS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        found.append(checks.crd(name, await _get(api, path)))
    bindings = await _list(api, _BINDINGS)
    for name in checks.POLICIES:
        found.append(checks.policy(name, await _get(api, f"{_POLICIES}/{name}"), bindings))
    at = args.lease_namespace or args.operator_namespace
    path = f"/apis/coordination.k8s.io/v1/namespaces/{at}/leases/{args.lease_name}"
    return [*found, *checks.lease(f"{at}/{args.lease_name}", await _get(api, path), now)]


async def _namespaces(api: Api, args: argparse.Namespace, namespace: str | None) -> list[Check]:
    """What there is in each namespace that is looked at."""
    from sipgateway.cli import doctor_checks as checks  # noqa: PLC0415
    from sipgateway.cluster.client import ApiError  # noqa: PLC0415
    from sipgateway.kube.survey import survey  # noqa: PLC0415

    try:
        seen = await survey(api, namespace)
    except SipgwError as error:
        refused = ApiError(0, error.finding.code, error.finding.message)
        return [checks.cannot("fleet", f"SipGateways in {namespace or 'all namespaces'}", refused)]
    at = f"/namespaces/{namespace}" if namespace else ""
    specs = await _list(api, f"/apis/{API_VERSION}{at}/{PLURAL}")
    tls = frozenset(
        (o["metadata"]["namespace"], o["metadata"]["name"])
        for o in ([] if isinstance(specs, ApiError) else specs)
        if checks.asks_for_tls(o.get("spec") or {})
    )
    found: list[Check] = []
    account = f"{args.operator_namespace}:{args.operator_account}"
    spaces = {fleet.namespace for fleet in [*seen.pods, *(g.fleet for g in seen.gateways)]}
    for space in sorted(spaces | ({namespace} if namespace else set())):
        answers = await _rights(api, account, space)
        found.append(checks.rights(account, space, answers))
    found += [checks.cannot("fleet", what.partition(":")[0], ApiError(0, "Unread", what)) for what in seen.unread]
    if not seen.unread:  # what could not be read is not missing
        found += checks.fleets(seen.gateways, seen.pods)
    for fleet in sorted({g.fleet for g in seen.gateways if not g.suspend}):
        found.append(checks.keys(fleet, *await _keys(api, fleet)))
    for fleet, pods in seen.pods.items():
        wanted = [g for g in seen.gateways if g.fleet == fleet and not g.suspend]
        secured = frozenset(g.name for g in wanted if (g.key.namespace, g.key.name) in tls)
        for pod in pods:
            found.append(checks.pod(pod))
            found += checks.socket(pod)
            found += checks.loading(pod, wanted, secured)
            if pod.report is not None:
                where = f"agent {fleet.namespace}/{pod.state.name}"
                found += checks.clock(where, checks.time(pod.report.heartbeat), pod.reported)
    return found


async def _rights(api: Api, account: str, namespace: str) -> dict[str, bool] | ApiError:
    from sipgateway.cli.doctor_checks import RIGHTS  # noqa: PLC0415
    from sipgateway.cluster.client import ApiError  # noqa: PLC0415

    answers: dict[str, bool] = {}
    for group, resource, verbs in RIGHTS:
        main, _, sub = resource.partition("/")
        for verb in verbs:
            asked = {"namespace": namespace, "group": group, "resource": main, "subresource": sub, "verb": verb}
            spec = {"user": f"system:serviceaccount:{account}", "resourceAttributes": asked}
            spec["groups"] = ["system:serviceaccounts", f"system:serviceaccounts:{account.partition(':')[0]}"]
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            try:
                answer = await api.review(_REVIEWS, body)
            except ApiError as error:
                return error
            answers[f"{verb} {resource}"] = (answer.get("status") or {}).get("allowed") is True
    return answers


async def _keys(api: Api, fleet: FleetId) -> tuple[Obj | ApiError, Seen | Finding | ApiError]:
    from sipgateway.cluster.client import ApiError  # noqa: PLC0415
    from sipgateway.kube import rotate  # noqa: PLC0415
    from sipgateway.render.keys import secret_name  # noqa: PLC0415

    secret = await _get(api, f"/api/v1/namespaces/{fleet.namespace}/secrets/{secret_name(fleet.switch)}")
    try:
        return secret, await rotate.look(api, fleet)
    except ApiError as error:
        return secret, error
    except SipgwError as error:
        return secret, error.finding


async def _get(api: Api, path: str) -> Obj | ApiError:
    from sipgateway.cluster.client import ApiError  # noqa: PLC0415

    try:
        return await api.get(path)
    except ApiError as error:
        return error


async def _list(api: Api, path: str) -> list[Obj] | ApiError:
    from sipgateway.cluster.client import ApiError  # noqa: PLC0415

    try:
        return [obj async for page in api.pages(path) for obj in page.items]
    except ApiError as error:
        return error


def as_text(found: Sequence[Check]) -> str:
    """One line per check, and a count."""
    lines = []
    for check in found:
        if check.finding is None:
            lines.append(f"ok       {check.name:<8} {check.where}: {check.text}")
        else:
            one = check.finding
            lines.append(f"{check.level:<8} {check.name:<8} {check.where}: {one.code}: {one.message} {one.action}")
    counts = Counter(check.level for check in found)
    lines.append(", ".join(f"{counts[level]} {level}" for level in ("ok", "warning", "error")))
    return "\n".join(lines)


def as_json(found: Sequence[Check]) -> str:
    """`{"checks": [...]}`."""
    rows = [
        {
            "check": check.name,
            "level": check.level,
            "where": check.where,
            "code": "" if check.finding is None else check.finding.code,
            "message": check.text if check.finding is None else check.finding.message,
            "action": "" if check.finding is None else check.finding.action,
        }
        for check in found
    ]
    return json.dumps({"checks": rows}, indent=2, ensure_ascii=False)
