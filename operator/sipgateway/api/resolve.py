"""From a SipGateway and the Secrets it names to the effective gateway: every parameter as text, in the table's order.

In: a parsed SipGateway and views of Secrets. Out: a `Gateway` for the renderer, or findings that say which Secret, key
or label is missing and the command that mends it. Secret values go into the Gateway only, never into a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipgateway.api.codes import objects as codes
from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import LABEL_CREDENTIALS
from sipgateway.api.params import PARAMS, Param
from sipgateway.api.spec import ParamValue, SecretKeyRef, SipGateway
from sipgateway.errors import Finding


@dataclass(frozen=True, slots=True)
class SecretView:
    """What is needed of one Secret; the values never show in `repr`.

    Attributes:
        name: `metadata.name`, in the SipGateway's namespace.
        labelled: whether it carries `sipgateway.dev/credentials: "true"`.
        data: decoded values by key.
    """

    name: str
    labelled: bool
    data: Mapping[str, bytes] = field(repr=False)


def text_of(value: ParamValue) -> str:
    """A parameter's value as FreeSWITCH reads it: booleans as true/false, numbers in decimal digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def resolve(gateway: SipGateway, secrets: Mapping[str, SecretView]) -> tuple[Gateway | None, tuple[Finding, ...]]:
    """Fills in the values of Secrets.

    A parameter that is not in the manifest is not in the result: FreeSWITCH's own default holds.

    Args:
        gateway: a SipGateway that `accept.check` did not refuse.
        secrets: the Secrets of its namespace by name; more than it needs do no harm.

    Returns:
        The effective gateway, or None when a Secret, a key or a label is missing; and all findings.
    """
    findings: list[Finding] = []
    references = {"username": gateway.spec.username_from, "password": gateway.spec.password_from}
    parameters: list[Parameter] = []
    for param in PARAMS:
        given = gateway.spec.params.get(param.field)
        reference = references.get(param.field)
        if reference is not None:
            value = _secret_text(gateway, param, reference, secrets)
            if isinstance(value, Finding):
                findings.append(value)
            else:
                parameters.append(Parameter(param.xml, value, secret=True))
        elif given is not None and not param.secret:
            parameters.append(Parameter(param.xml, text_of(given)))
    if findings:
        return None, tuple(findings)
    parameters.extend(Parameter(extra.name, extra.value) for extra in gateway.spec.extra_params)
    effective = Gateway(
        name=gateway.gateway_name,
        target=Target(gateway.spec.profile, gateway.spec.directory),
        parameters=tuple(parameters),
        variables=gateway.spec.variables,
        subscriptions=gateway.spec.subscriptions,
    )
    return effective, ()


def _secret_text(
    gateway: SipGateway, param: Param, reference: SecretKeyRef, secrets: Mapping[str, SecretView]
) -> str | Finding:
    path = f"spec.{param.secret_source}.secretKeyRef"
    namespace = gateway.namespace
    secret = secrets.get(reference.name)
    if secret is None:
        return codes.SECRET_MISSING.finding(
            f"{path}.name",
            f"there is no Secret {reference.name} labelled {LABEL_CREDENTIALS}=true in namespace {namespace}.",
            f"Create it with key {reference.key}, or label it: "
            f"kubectl -n {namespace} label secret {reference.name} {LABEL_CREDENTIALS}=true",
        )
    if not secret.labelled:
        return codes.SECRET_NOT_LABELLED.finding(
            f"{path}.name",
            f"Secret {reference.name} is not labelled as credentials, so it is not used.",
            f"Label it: kubectl -n {namespace} label secret {reference.name} {LABEL_CREDENTIALS}=true",
        )
    raw = secret.data.get(reference.key)
    if raw is None:
        keys = ", ".join(sorted(secret.data)[:10]) or "none"
        return codes.SECRET_KEY_MISSING.finding(
            f"{path}.key",
            f"Secret {reference.name} has no key {reference.key} (it has: {keys}).",
            "Correct the key, or add it to the Secret.",
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return codes.SECRET_NOT_TEXT.finding(
            path,
            f"key {reference.key} of Secret {reference.name} is not UTF-8 text; SIP digests are computed over text.",
        )
