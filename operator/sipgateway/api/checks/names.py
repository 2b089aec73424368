"""Checks of names: the object's, the gateway's, the switch's, the profile's, the directory's and the Secrets'."""

from __future__ import annotations

from collections.abc import Iterator

from sipgateway.api import grammar, limits
from sipgateway.api.checks.reading import Check, shown
from sipgateway.api.codes import structure as codes
from sipgateway.api.names import MAX_GATEWAY_NAME, RESERVED_GATEWAY_NAMES
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding

_DNS_SUBDOMAIN = grammar.python_pattern(grammar.DNS_SUBDOMAIN)
_DNS_LABEL = grammar.python_pattern(grammar.DNS_LABEL)
_GATEWAY_NAME = grammar.python_pattern(grammar.GATEWAY_NAME)
_PROFILE_NAME = grammar.python_pattern(grammar.PROFILE_NAME)
_DIRECTORY_DOMAIN = grammar.python_pattern(grammar.DIRECTORY_DOMAIN)
_DIRECTORY_USER = grammar.python_pattern(grammar.DIRECTORY_USER)
_SECRET_KEY = grammar.python_pattern(grammar.SECRET_KEY)


def object_name(gateway: SipGateway) -> Iterator[Finding]:
    """metadata.name and metadata.namespace are names of Kubernetes, and leave room for the ConfigMap's prefix."""
    name, namespace = gateway.name, gateway.namespace
    if _DNS_SUBDOMAIN.fullmatch(name) is None:
        what = f"{shown(name)} is not lower-case letters, digits, `-` and `.`."
        yield codes.OBJECT_NAME_INVALID.because("metadata.name", what)
    elif len(name) > limits.MAX_OBJECT_NAME:
        what = f"{len(name)} characters, {limits.MAX_OBJECT_NAME} are allowed."
        yield codes.OBJECT_NAME_INVALID.because("metadata.name", what)
    if _DNS_LABEL.fullmatch(namespace) is None:
        what = f"{shown(namespace)} is not lower-case letters, digits and `-`."
        yield codes.OBJECT_NAME_INVALID.finding("metadata.namespace", what, "Use the name of a namespace.")


def gateway_name(gateway: SipGateway) -> Iterator[Finding]:
    """mod_sofia loads the name, registers under it, and commands on it reach this gateway alone (facts 11, 32)."""
    name = gateway.name if gateway.spec.gateway_name is None else gateway.spec.gateway_name
    field = "metadata.name" if gateway.spec.gateway_name is None else "spec.gatewayName"
    if name.lower() in RESERVED_GATEWAY_NAMES:
        yield codes.GATEWAY_NAME_RESERVED.because(field, f"{shown(name)} means every gateway.")
    elif _GATEWAY_NAME.fullmatch(name) is None:
        yield codes.GATEWAY_NAME_INVALID.because(field, f"{shown(name)} is not a gateway's name.")
    elif len(name) > MAX_GATEWAY_NAME:
        what = f"{len(name)} characters; beyond {MAX_GATEWAY_NAME} a gateway never leaves TRYING (fact 32)."
        yield codes.GATEWAY_NAME_INVALID.finding(field, what, "Shorten the name.")


def switch_name(gateway: SipGateway) -> Iterator[Finding]:
    """spec.switch is a label's value and part of other objects' names."""
    if _DNS_LABEL.fullmatch(gateway.spec.switch) is None:
        what = f"{shown(gateway.spec.switch)} is not a DNS label."
        yield codes.SWITCH_NAME_INVALID.because("spec.switch", what)


def profile_name(gateway: SipGateway) -> Iterator[Finding]:
    """spec.profile is a word in commands and a folder's name."""
    profile = gateway.spec.profile
    if _PROFILE_NAME.fullmatch(profile) is None or len(profile) > limits.MAX_PROFILE:
        yield codes.PROFILE_NAME_INVALID.because("spec.profile", f"{shown(profile)} is not a profile's name.")


def directory(gateway: SipGateway) -> Iterator[Finding]:
    """The directory's domain and user are parts of a path and of the switch's directory."""
    user = gateway.spec.directory
    if user is None:
        return
    if _DIRECTORY_DOMAIN.fullmatch(user.domain) is None:
        what = f"{shown(user.domain)} is not a host name or IPv4 address."
        yield codes.DIRECTORY_INVALID.because("spec.directory.domain", what)
    if _DIRECTORY_USER.fullmatch(user.user) is None:
        what = f"{shown(user.user)} is not a directory user's id."
        yield codes.DIRECTORY_INVALID.because("spec.directory.user", what)


def secret_references(gateway: SipGateway) -> Iterator[Finding]:
    """The Secrets that are named can exist."""
    for source, reference in (
        ("usernameFrom", gateway.spec.username_from),
        ("passwordFrom", gateway.spec.password_from),
    ):
        if reference is None:
            continue
        if _DNS_SUBDOMAIN.fullmatch(reference.name) is None:
            what = f"{shown(reference.name)} cannot be the name of a Secret."
            yield codes.SECRET_REFERENCE_INVALID.because(f"spec.{source}.secretKeyRef.name", what)
        if _SECRET_KEY.fullmatch(reference.key) is None:
            what = f"{shown(reference.key)} cannot be a key in a Secret."
            yield codes.SECRET_REFERENCE_INVALID.because(f"spec.{source}.secretKeyRef.key", what)


CHECKS: tuple[Check, ...] = (object_name, gateway_name, switch_name, profile_name, directory, secret_references)
