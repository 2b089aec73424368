"""Checks of parameters together: what contradicts itself is refused, what does nothing or surprises is warned of."""

from __future__ import annotations

from collections.abc import Iterator

from sipgateway.api import grammar
from sipgateway.api.checks.reading import Check, flag, is_set, number, registers, shown, text
from sipgateway.api.codes import together as codes
from sipgateway.api.params import Grammar
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding

#: user + realm + password in bytes: what 255 leave when scheme, quotes and colons are counted too (fact 34).
DIGEST_BYTES = 244

_DOTTED_NAME = grammar.python_pattern(grammar.DOTTED_NAME)
_OF_PING = ("pingMin", "pingMax", "pingMonitoring", "contactInPing")
_OF_REGISTER = ("expireSeconds", "retrySeconds", "retrySeconds908", "timeoutSeconds", "distinctTo")
_AUTO_ALEG = frozenset({"auto-aleg-full", "auto-aleg-domain"})


def one_username(gateway: SipGateway) -> Iterator[Finding]:
    """Username comes from one place."""
    if is_set(gateway, "username") and gateway.spec.username_from is not None:
        yield codes.USERNAME_TWICE.because("spec.usernameFrom", "username is given too.")


def credentials(gateway: SipGateway) -> Iterator[Finding]:
    """A registering gateway has a user name and a password (fact 13)."""
    if not registers(gateway):
        return
    if not is_set(gateway, "username") and gateway.spec.username_from is None:
        yield codes.REGISTER_NEEDS_USERNAME.because("spec.username", "It registers, and has no user name.")
    if gateway.spec.password_from is None:
        yield codes.REGISTER_NEEDS_PASSWORD.because("spec.passwordFrom", "It registers, and has no password.")


def destination(gateway: SipGateway) -> Iterator[Finding]:
    """Calls and REGISTERs have somewhere to go: proxy, else realm, else the gateway's name (gateway-params.md)."""
    if is_set(gateway, "proxy"):
        return
    realm = text(gateway, "realm")
    if realm is None:
        name = gateway.gateway_name
        if _DOTTED_NAME.fullmatch(name) is None:
            yield codes.NO_DESTINATION.because("spec.proxy", "It is not set, nor is realm.")
        else:
            yield codes.NAME_IS_DESTINATION.because("spec.proxy", f"Calls go to {name}.")
    elif wrong := grammar.violation(Grammar.PROXY, realm):
        yield codes.REALM_IS_DESTINATION.because("spec.realm", f"{shown(realm)}: {wrong}.")
    elif ";" in realm:
        yield codes.REALM_IS_DESTINATION.because("spec.realm", f"{shown(realm)} has URI parameters.")


def transport(gateway: SipGateway) -> Iterator[Finding]:
    """The transport is the same wherever it is said (fact 24h)."""
    in_proxy = grammar.transport_of(text(gateway, "proxy") or "")
    registered = text(gateway, "registerTransport")
    if in_proxy is not None and registered is not None and in_proxy != registered:
        what = f"proxy has transport={in_proxy}, registerTransport is {registered}."
        yield codes.TRANSPORT_CONTRADICTION.because("spec.registerTransport", what)
    elif in_proxy is not None and registered is None and in_proxy != "udp":
        what = f"proxy has transport={in_proxy}, registerTransport is udp by default."
        yield codes.TRANSPORT_ONLY_IN_PROXY.because("spec.proxy", what, f"Set registerTransport: {in_proxy} instead.")
    if registered == "tls":
        yield codes.TLS_NEEDS_PROFILE.because("spec.registerTransport", "The profile must have TLS.")


def ping(gateway: SipGateway) -> Iterator[Finding]:
    """Both bounds of pings let the gateway come UP, and count where they are set (fact 37)."""
    low = number(gateway, "pingMin")
    high = number(gateway, "pingMax")
    given = [f"spec.{field}" for field in ("pingMin", "pingMax") if is_set(gateway, field)]
    if given and (1 if high is None else high) < (1 if low is None else low):
        what = f"pingMin is {1 if low is None else low}, pingMax {1 if high is None else high}."
        yield codes.PING_BOUNDS.because("spec.pingMax", what)
    if given and registers(gateway):
        yield codes.PING_BOUNDS_IGNORED.because(given[0], "The gateway registers.")
    if not is_set(gateway, "ping"):
        for field in _OF_PING:
            if is_set(gateway, field) and gateway.spec.params[field] is not False:
                yield codes.USELESS_WITHOUT_PING.because(f"spec.{field}", "ping is not set.")


def registering(gateway: SipGateway) -> Iterator[Finding]:
    """Fields of REGISTER stand on a gateway that registers, and the surprising ones are said."""
    if registers(gateway):
        expire = number(gateway, "expireSeconds")
        if expire is not None and expire < 60:
            yield codes.SHORT_EXPIRE.because("spec.expireSeconds", f"{expire} seconds.")
        if not is_set(gateway, "contactHost"):
            what = "It registers, and contactHost is not set."
            yield codes.CONTACT_MAY_BE_POD_ADDRESS.because("spec.contactHost", what)
    else:
        for field in _OF_REGISTER:
            if is_set(gateway, field) and gateway.spec.params[field] is not False:
                yield codes.USELESS_WITHOUT_REGISTER.because(f"spec.{field}", "register is false.")
    if is_set(gateway, "authUsername") and gateway.spec.password_from is None:
        yield codes.USELESS_WITHOUT_PASSWORD.because("spec.authUsername", "passwordFrom is not set.")


def outbound_flow(gateway: SipGateway) -> Iterator[Finding]:
    """rfc5626 and regId come together."""
    if flag(gateway, "rfc5626") and not is_set(gateway, "regId"):
        yield codes.RFC5626_NEEDS_REG_ID.because("spec.regId", "It is not set, and rfc5626 is true.")
    if is_set(gateway, "regId") and not flag(gateway, "rfc5626"):
        yield codes.REG_ID_NEEDS_RFC5626.because("spec.regId", "rfc5626 is not true.")


def extension_in_contact(gateway: SipGateway) -> Iterator[Finding]:
    """An extension that goes into the Contact is a SIP user (fact 33)."""
    extension = text(gateway, "extension")
    if extension is not None and flag(gateway, "extensionInContact") and not grammar.control_character(extension):
        wrong = grammar.violation(Grammar.USER, extension)
        if wrong is not None:
            yield codes.EXTENSION_NOT_USER.because("spec.extension", f"{shown(extension)}: {wrong}.")


def auto_aleg(gateway: SipGateway) -> Iterator[Finding]:
    """auto-aleg-* goes out literally in all that is not an INVITE (fact 24g)."""
    domain = text(gateway, "fromDomain")
    if domain is None or domain.lower() not in _AUTO_ALEG:
        return
    reasons = [
        word
        for word, sent in (
            ("REGISTER", registers(gateway)),
            ("OPTIONS", is_set(gateway, "ping")),
            ("SUBSCRIBE", bool(gateway.spec.subscriptions)),
        )
        if sent
    ]
    if reasons:
        yield codes.AUTO_ALEG_LITERAL.because("spec.fromDomain", f"{domain} stands in {', '.join(reasons)}.")


def ipv6_challenge(gateway: SipGateway) -> Iterator[Finding]:
    """A challenge from an IPv6 address is answered only by an ACL or a host name (fact 35)."""
    if gateway.spec.password_from is None or text(gateway, "gwAuthAcl") is not None:
        return
    proxies = (text(gateway, "proxy") or text(gateway, "realm"), text(gateway, "registerProxy"))
    hosts = [proxy.lower().removeprefix("sips:").removeprefix("sip:") for proxy in proxies if proxy is not None]
    if hosts and all(host.startswith("[") for host in hosts):
        yield codes.IPV6_CHALLENGE.because("spec.proxy", "It is an IPv6 address.")


def digest_length(gateway: SipGateway) -> Iterator[Finding]:
    """What is visible of the digest's credentials leaves room for a password (fact 34)."""
    if gateway.spec.password_from is None:
        return
    user = text(gateway, "authUsername") or text(gateway, "username") or ""
    realm = text(gateway, "realm") or ""
    visible = _bytes(user) + _bytes(realm)
    if visible >= DIGEST_BYTES:
        field = "spec.authUsername" if is_set(gateway, "authUsername") else "spec.username"
        what = f"User name and realm alone have {visible} bytes."
        yield codes.DIGEST_TOO_LONG.because(field, what)


def _bytes(value: str) -> int:
    return len(value.encode("utf-8", "surrogatepass"))


CHECKS: tuple[Check, ...] = (
    one_username,
    credentials,
    destination,
    transport,
    ping,
    registering,
    outbound_flow,
    extension_in_contact,
    auto_aleg,
    ipv6_challenge,
    digest_length,
)
