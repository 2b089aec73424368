"""The table of manifests: what each spec is refused or warned for. Read by the Python checks' and the CRD's tests.

Every case differs from a good manifest by what its name says. `refusals` and `warnings` are (code, field) pairs; a
refusal that needs more than the object itself has no place here.
"""

# ruff: noqa: E501  # a table: one case per line reads better than two
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.api.builders import CALLS, GONE, PASSWORD, REGISTERING, USERNAME, Spec, changed

Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """One manifest and its findings."""

    id: str
    spec: Spec
    refusals: Pairs = frozenset()
    warnings: Pairs = frozenset()
    name: str = "acme"


def _case(
    id_: str,
    base: Mapping[str, object],
    changes: Mapping[str, object],
    refused: str = "",
    warned: str = "",
    *,
    name: str = "acme",
) -> Case:
    """`refused` and `warned` are words such as `PingTooShort@ping`; a path below spec, or one that begins with `metadata`."""
    return Case(id_, changed(base, **changes), _pairs(refused), _pairs(warned), name)


def _pairs(words: str) -> Pairs:
    pairs = (word.split("@") for word in words.split())
    return frozenset((code, path if path.startswith("metadata") else f"spec.{path}") for code, path in pairs)


def _variables(*variables: tuple[str, ...]) -> dict[str, object]:
    fields = ("name", "value", "direction")
    return {"variables": [dict(zip(fields, variable, strict=False)) for variable in variables]}


def _subscription(**fields: object) -> dict[str, object]:
    return {"subscriptions": [{"event": "message-summary", **fields}]}


def _extra(*pairs: tuple[str, str]) -> dict[str, object]:
    return {"extraParams": [{"name": name, "value": value} for name, value in pairs]}


_R, _C = REGISTERING, CALLS
_LONG = "x" * 255

CASES: tuple[Case, ...] = (
    _case("registering", _R, {}),
    _case("calls only", _C, {}),
    _case("everything at once", _R, {
        "switch": "frankfurt", "profile": "carriers", "gatewayName": "acme_main", "placement": "All", "suspend": False,
        "directory": {"domain": "pbx.example.com", "user": "1000"}, "authUsername": "acme@example.com",
        "realm": "carrier realm", "scheme": "Digest", "fromUser": "+15550100", "fromDomain": "pbx.example.com:5080",
        "callerIdInFrom": True, "extension": "auto_to_user", "extensionInContact": False, "context": "from carrier",
        "proxy": "[2001:db8::1]:5060;transport=tcp;lr", "outboundProxy": "sips:edge.example.com:5061",
        "registerProxy": "edge.example.com", "registerTransport": "tcp", "expireSeconds": 600, "retrySeconds": 30,
        "retrySeconds908": 10, "timeoutSeconds": 20, "ping": 30, "pingMin": 1, "pingMax": 1, "register": True, "pingMonitoring": True, "contactInPing": True,
        "contactParams": ";tgrp=acme;trunk-context=example.com", "contactHost": "2001:db8::7", "distinctTo": True,
        "destinationPrefix": "011", "rfc5626": True, "regId": 1, "gwAuthAcl": "carrier",
        "variables": [{"name": "a", "value": "1"}, {"name": "sip_h_X-Acme", "value": "yes", "direction": "outbound"}],
        "subscriptions": [{"event": "message-summary", "expireSeconds": 600, "retrySeconds": 60,
                           "contentType": "application/simple-message-summary", "usernameInRequest": True}],
        "extraParams": [{"name": "x-mode", "value": "strict"}],
    }, "", "PingBoundsIgnored@pingMin"),
    # Names
    _case("gateway name all", _R, {"gatewayName": "all"}, "GatewayNameReserved@gatewayName"),
    _case("gateway name _ALL_", _R, {"gatewayName": "_ALL_"}, "GatewayNameReserved@gatewayName"),
    _case("object name all", _R, {}, "GatewayNameReserved@metadata.name", name="all"),
    _case("object name all, gateway named otherwise", _R, {"gatewayName": "acme"}, name="all"),
    _case("gateway name with a blank", _R, {"gatewayName": "acme main"}, "GatewayNameInvalid@gatewayName"),
    _case("gateway name with a slash", _R, {"gatewayName": "a/b"}, "GatewayNameInvalid@gatewayName"),
    _case("gateway name empty", _R, {"gatewayName": ""}, "GatewayNameInvalid@gatewayName"),
    _case("gateway name with an umlaut", _R, {"gatewayName": "münchen"}, "GatewayNameInvalid@gatewayName"),
    _case("gateway name with a line end", _R, {"gatewayName": "acme\n"}, "GatewayNameInvalid@gatewayName"),
    _case("gateway name of 255", _R, {"gatewayName": _LONG}),
    _case("gateway name of 256", _R, {"gatewayName": _LONG + "x"}, "TooLong@gatewayName"),
    _case("switch in capitals", _R, {"switch": "Frankfurt"}, "SwitchNameInvalid@switch"),
    _case("switch empty", _R, {"switch": ""}, "SwitchNameInvalid@switch"),
    _case("switch of 64", _R, {"switch": "a" * 64}, "TooLong@switch"),
    _case("profile with a blank", _R, {"profile": "external rescan"}, "ProfileNameInvalid@profile"),
    _case("profile with a path", _R, {"profile": "../external"}, "ProfileNameInvalid@profile"),
    _case("profile empty", _R, {"profile": ""}, "ProfileNameInvalid@profile"),
    _case("profile that begins with a dot", _R, {"profile": ".external"}, "ProfileNameInvalid@profile"),
    _case("directory domain with a path", _C, {"directory": {"domain": "../a", "user": "1"}},
          "DirectoryInvalid@directory.domain"),
    _case("directory user with a path", _C, {"directory": {"domain": "a.example.com", "user": "../1"}},
          "DirectoryInvalid@directory.user"),
    _case("directory of dots", _C, {"directory": {"domain": "..", "user": ".."}},
          "DirectoryInvalid@directory.domain DirectoryInvalid@directory.user"),
    _case("directory without user", _C, {"directory": {"domain": "a.example.com"}}, "MissingField@directory.user"),
    _case("secret name in capitals", _R, {"passwordFrom": {"secretKeyRef": {"name": "ACME", "key": "k"}}},
          "SecretReferenceInvalid@passwordFrom.secretKeyRef.name"),
    _case("secret key with a slash", _R, {"passwordFrom": {"secretKeyRef": {"name": "acme", "key": "a/b"}}},
          "SecretReferenceInvalid@passwordFrom.secretKeyRef.key"),
    _case("secret without key", _R, {"passwordFrom": {"secretKeyRef": {"name": "acme"}}},
          "MissingField@passwordFrom.secretKeyRef.key"),
    _case("passwordFrom without reference", _R, {"passwordFrom": {}}, "MissingField@passwordFrom.secretKeyRef"),
    # Credentials
    _case("register without username", _R, {"username": GONE}, "RegisterNeedsUsername@username"),
    _case("register without password", _R, {"passwordFrom": GONE}, "RegisterNeedsPassword@passwordFrom"),
    _case("register true without both", _C, {"register": True, "contactHost": "192.0.2.1"},
          "RegisterNeedsUsername@username RegisterNeedsPassword@passwordFrom"),
    _case("username from a Secret", _R, {"username": GONE, "usernameFrom": USERNAME}),
    _case("username twice", _R, {"usernameFrom": USERNAME}, "UsernameTwice@usernameFrom"),
    _case("password without register answers challenges of INVITE", _C, {"username": "acme", "passwordFrom": PASSWORD}),
    _case("digest user without password", _C, {"authUsername": "acme"}, "", "UselessWithoutPassword@authUsername"),
    _case("literal password", _R, {"password": "1234"}, "LiteralPassword@password"),
    _case("digest of 244 visible bytes", _R, {"authUsername": "a" * 200, "realm": "b" * 44}, "DigestTooLong@authUsername"),
    _case("digest with room for a password", _R, {"authUsername": "a" * 180, "realm": "b" * 43}),
    _case("digest counts bytes, not characters", _R, {"authUsername": "ä" * 122}, "DigestTooLong@authUsername"),
    _case("digest counts the username when there is no other", _R, {"username": "a" * 200, "realm": "b" * 44},
          "DigestTooLong@username"),
    # SIP users
    *(_case(f"username with U+{ord(c):04X}", _R, {"username": f"a{c}b"}, "SipUserInvalid@username")
      for c in ' ;?%@:#<>"\\,/[]{}|^`é'),
    *(_case(f"username with a control character U+{ord(c):04X}", _R, {"username": f"a{c}b"}, "ControlCharacter@username")
      for c in "\r\n\t\x7f\x85"),
    _case("username of all good characters", _R, {"username": "aZ09-_.!~*'()&=+$"}),
    _case("username empty", _R, {"username": ""}, "EmptyValue@username"),
    _case("username a number", _R, {"username": 1000}, "WrongType@username"),
    _case("from user with a blank", _R, {"fromUser": "a b"}, "SipUserInvalid@fromUser"),
    _case("destination prefix with @", _R, {"destinationPrefix": "a@"}, "SipUserInvalid@destinationPrefix"),
    _case("digest user with a quote", _R, {"authUsername": 'a"b'}, "DigestUserInvalid@authUsername"),
    _case("digest user with a colon", _R, {"authUsername": "a:b"}, "DigestUserInvalid@authUsername"),
    _case("digest user with @ and blanks", _R, {"authUsername": "acme pbx@example.com"}),
    _case("realm with a backslash", _R, {"realm": "a\\b"}, "RealmInvalid@realm"),
    _case("scheme unknown", _R, {"scheme": "Basic"}, "ChoiceUnknown@scheme"),
    # Hosts, proxies, URIs
    _case("proxy with sip:", _R, {"proxy": "sip:sip.example.com"}, "ProxyScheme@proxy"),
    _case("proxy with SIPS:", _R, {"proxy": "SIPS:sip.example.com"}, "ProxyScheme@proxy"),
    _case("proxy with a port", _R, {"proxy": "sip.example.com:5061"}),
    _case("proxy of an IPv4 address", _R, {"proxy": "192.0.2.1"}),
    _case("proxy of a broken IPv4 address", _R, {"proxy": "192.0.2.300"}, "ProxyInvalid@proxy"),
    _case("proxy of an IPv6 address", _R, {"proxy": "[2001:db8::1]"}, "", "Ipv6Challenge@proxy"),
    _case("proxy of an IPv6 address without brackets", _R, {"proxy": "2001:db8::1"}, "ProxyInvalid@proxy"),
    _case("proxy of a broken IPv6 address", _R, {"proxy": "[2001:db8:::1]"}, "ProxyInvalid@proxy", "Ipv6Challenge@proxy"),
    _case("proxy with a user", _R, {"proxy": "acme@sip.example.com"}, "ProxyInvalid@proxy"),
    _case("proxy with port 0", _R, {"proxy": "sip.example.com:0"}, "ProxyInvalid@proxy"),
    _case("proxy with port 65536", _R, {"proxy": "sip.example.com:65536"}, "ProxyInvalid@proxy"),
    _case("proxy with a blank", _R, {"proxy": "sip.example.com :5060"}, "ProxyInvalid@proxy"),
    _case("proxy with a header", _R, {"proxy": "sip.example.com:5060?X=1"}, "ProxyInvalid@proxy"),
    _case("proxy with an underscore", _R, {"proxy": "sip_1.example.com"}, "ProxyInvalid@proxy"),
    _case("proxy with CR LF", _R, {"proxy": "a.example.com\r\nX: y"}, "ControlCharacter@proxy"),
    _case("proxy empty", _R, {"proxy": ""}, "EmptyValue@proxy"),
    _case("proxy with parameters, without port", _R, {"proxy": "a.example.com;lr"}, "PortMissing@proxy"),
    _case("proxy with parameters, without port, with an ACL", _R, {"proxy": "a.example.com;lr", "gwAuthAcl": "c"}),
    _case("proxy with parameters and port", _R, {"proxy": "a.example.com:5060;lr;x=y"}),
    _case("proxy with transport twice", _R,
          {"proxy": "a.example.com:5060;transport=tcp;transport=tcp", "registerTransport": "tcp"}, "ProxyInvalid@proxy"),
    _case("proxy with transport without value", _R, {"proxy": "a.example.com:5060;transport"}, "ProxyInvalid@proxy"),
    _case("proxy with an unknown transport", _R, {"proxy": "a.example.com:5060;transport=foo"}, "ProxyInvalid@proxy",
          "TransportOnlyInProxy@proxy"),
    _case("proxy with a tag", _R, {"proxy": "a.example.com:5060;tag=1"}, "ProxyInvalid@proxy"),
    _case("proxy with fs_path", _R, {"proxy": "a.example.com:5060;fs_path=x"}, "ProxyInvalid@proxy"),
    _case("proxy with a colon in a parameter", _R, {"proxy": "a.example.com:5060;x=a:b"}, "ProxyInvalid@proxy"),
    _case("transport contradicts", _R, {"proxy": "a.example.com:5060;transport=tcp", "registerTransport": "udp"},
          "TransportContradiction@registerTransport"),
    _case("transport only in proxy", _R, {"proxy": "a.example.com:5060;transport=tcp"}, "", "TransportOnlyInProxy@proxy"),
    _case("transport twice the same", _R, {"proxy": "a.example.com:5060;transport=TCP", "registerTransport": "tcp"}),
    _case("transport tls", _R, {"registerTransport": "tls"}, "", "TlsNeedsProfile@registerTransport"),
    _case("transport in capitals", _R, {"registerTransport": "TCP"}, "ChoiceUnknown@registerTransport"),
    _case("transport tcpX", _R, {"registerTransport": "tcpX"}, "ChoiceUnknown@registerTransport"),
    _case("no proxy and no realm", _R, {"proxy": GONE}, "NoDestination@proxy"),
    _case("no proxy, a realm that is a host", _R, {"proxy": GONE, "realm": "sip.example.com:5060"}),
    _case("no proxy, a realm that is none", _R, {"proxy": GONE, "realm": "the carrier"}, "RealmIsDestination@realm"),
    _case("no proxy, a realm with parameters", _R, {"proxy": GONE, "realm": "a.example.com:1;lr"},
          "RealmIsDestination@realm"),
    _case("no proxy, a gateway name that is a host", _R, {"proxy": GONE, "gatewayName": "sip.example.com"}, "",
          "NameIsDestination@proxy"),
    _case("no proxy, a name that is an address", _C, {"proxy": GONE}, "", "NameIsDestination@proxy", name="192.0.2.7"),
    _case("no proxy, a name with dots that is no host", _C, {"proxy": GONE, "gatewayName": "acme..1"}, "NoDestination@proxy"),
    _case("outbound proxy with sip:", _R, {"outboundProxy": "sip:edge.example.com:5060;lr"}),
    _case("outbound proxy with a user", _R, {"outboundProxy": "sip:a@edge.example.com"}, "SipUriInvalid@outboundProxy"),
    _case("outbound proxy in brackets", _R, {"outboundProxy": "<sip:edge.example.com>"}, "SipUriInvalid@outboundProxy"),
    _case("outbound proxy of two", _R, {"outboundProxy": "a.example.com,b.example.com"}, "SipUriInvalid@outboundProxy"),
    _case("outbound proxy with tel:", _R, {"outboundProxy": "tel:+15550100"}, "SipUriInvalid@outboundProxy"),
    _case("register proxy with parameters, without port", _R, {"registerProxy": "sip:edge.example.com;transport=tcp"},
          "PortMissing@registerProxy"),
    _case("register proxy", _R, {"registerProxy": "edge.example.com:5070"}),
    _case("from domain with a port", _R, {"fromDomain": "pbx.example.com:5060"}),
    _case("from domain with a user", _R, {"fromDomain": "a@pbx.example.com"}, "HostInvalid@fromDomain"),
    _case("from domain with parameters", _R, {"fromDomain": "pbx.example.com;x=y"}, "HostInvalid@fromDomain"),
    _case("from domain of the caller, registering", _R, {"fromDomain": "auto-aleg-full"}, "", "AutoAlegLiteral@fromDomain"),
    _case("from domain of the caller, calls only", _C, {"fromDomain": "auto-aleg-domain"}),
    _case("from domain of the caller, pinging", _C, {"fromDomain": "auto-aleg-domain", "ping": 30}, "",
          "AutoAlegLiteral@fromDomain"),
    _case("contact host with a port", _R, {"contactHost": "192.0.2.1:5060"}, "HostInvalid@contactHost"),
    _case("contact host of IPv6 in brackets", _R, {"contactHost": "[2001:db8::1]"}, "HostInvalid@contactHost"),
    _case("contact host of IPv6", _R, {"contactHost": "2001:db8::1"}),
    _case("contact host sip-ip", _R, {"contactHost": "sip-ip"}),
    _case("contact host not set", _R, {"contactHost": GONE}, "", "ContactMayBePodAddress@contactHost"),
    _case("contact params with CR LF", _R, {"contactParams": "a=b\r\nX-Evil: 1"}, "ControlCharacter@contactParams"),
    _case("contact params with a blank", _R, {"contactParams": "a=b c"}, "UriParamsInvalid@contactParams"),
    _case("contact params with >", _R, {"contactParams": "a>;b"}, "UriParamsInvalid@contactParams"),
    _case("contact params with a trailing ;", _R, {"contactParams": "a;"}, "UriParamsInvalid@contactParams"),
    _case("contact params with transport", _R, {"contactParams": "Transport=tcp"}, "UriParamsInvalid@contactParams"),
    _case("contact params with gw", _R, {"contactParams": ";a=b;gw=other"}, "UriParamsInvalid@contactParams"),
    _case("contact params with fs_nat", _R, {"contactParams": "fs_nat=yes"}, "UriParamsInvalid@contactParams"),
    _case("contact params with user twice", _R, {"contactParams": "user=phone;USER=ip"}, "UriParamsInvalid@contactParams"),
    _case("contact params with transporter", _R, {"contactParams": "transporter=tcp;gwx"}),
    # Numbers
    _case("expire 4", _R, {"expireSeconds": 4}, "NumberCoerced@expireSeconds", "ShortExpire@expireSeconds"),
    _case("expire 5", _R, {"expireSeconds": 5}, "", "ShortExpire@expireSeconds"),
    _case("expire 59", _R, {"expireSeconds": 59}, "", "ShortExpire@expireSeconds"),
    _case("expire 60", _R, {"expireSeconds": 60}),
    _case("expire 0", _R, {"expireSeconds": 0}, "NumberCoerced@expireSeconds", "ShortExpire@expireSeconds"),
    _case("expire of two days", _R, {"expireSeconds": 172_800}, "NumberTooLarge@expireSeconds"),
    _case("expire as text", _R, {"expireSeconds": "600"}, "WrongType@expireSeconds"),
    _case("expire as a fraction", _R, {"expireSeconds": 60.5}, "WrongType@expireSeconds"),
    _case("expire as a whole float", _R, {"expireSeconds": 60.0}, "WrongType@expireSeconds"),
    _case("expire as true", _R, {"expireSeconds": True}, "WrongType@expireSeconds"),
    _case("retry 3", _R, {"retrySeconds": 3}, "NumberCoerced@retrySeconds"),
    _case("retry after 908 of 0", _R, {"retrySeconds908": 0}, "NumberCoerced@retrySeconds908"),
    _case("timeout 4", _R, {"timeoutSeconds": 4}, "NumberCoerced@timeoutSeconds"),
    _case("timeout -1", _R, {"timeoutSeconds": -1}, "NumberCoerced@timeoutSeconds"),
    *(_case(f"ping {n}", _R, {"ping": n}, "PingTooShort@ping") for n in (-1, 0, 1, 4)),
    _case("ping 5", _R, {"ping": 5}),
    _case("ping max below ping min", _C, {"ping": 30, "pingMin": 3, "pingMax": 2}, "PingBounds@pingMax"),
    _case("ping min 2 alone", _C, {"ping": 30, "pingMin": 2}, "PingBounds@pingMax"),
    _case("ping max 2 alone", _C, {"ping": 30, "pingMax": 2}),
    _case("ping min and max, registering", _R, {"ping": 30, "pingMin": 1, "pingMax": 2}, "", "PingBoundsIgnored@pingMin"),
    _case("ping min 0", _C, {"ping": 30, "pingMin": 0}, "NumberTooSmall@pingMin"),
    _case("ping fields without ping", _C, {"pingMax": 2, "contactInPing": True, "pingMonitoring": False}, "",
          "UselessWithoutPing@pingMax UselessWithoutPing@contactInPing"),
    _case("reg-id 0", _R, {"rfc5626": True, "regId": 0}, "NumberTooSmall@regId"),
    _case("reg-id beyond 32 bits", _R, {"rfc5626": True, "regId": 2**31}, "NumberTooLarge@regId"),
    # Fields together
    _case("ping user agent", _R, {"pingUserAgent": "acme"}, "ParameterRefused@pingUserAgent"),
    _case("rfc5626 without reg-id", _R, {"rfc5626": True}, "Rfc5626NeedsRegId@regId"),
    _case("reg-id without rfc5626", _R, {"regId": 1}, "RegIdNeedsRfc5626@regId"),
    _case("reg-id with rfc5626 false", _R, {"regId": 1, "rfc5626": False}, "RegIdNeedsRfc5626@regId"),
    _case("register fields without register", _C,
          {"expireSeconds": 600, "retrySeconds": 30, "timeoutSeconds": 30, "retrySeconds908": 5, "distinctTo": True}, "",
          "UselessWithoutRegister@expireSeconds UselessWithoutRegister@retrySeconds UselessWithoutRegister@timeoutSeconds "
          "UselessWithoutRegister@retrySeconds908 UselessWithoutRegister@distinctTo"),
    _case("extension with blanks", _R, {"extension": "reception desk"}),
    _case("extension with blanks in the contact", _R, {"extension": "reception desk", "extensionInContact": True},
          "ExtensionNotUser@extension"),
    _case("extension in the contact", _R, {"extension": "reception", "extensionInContact": True}),
    _case("context with a line end", _R, {"context": "public\n"}, "ControlCharacter@context"),
    _case("context with an umlaut", _R, {"context": "öffentlich"}),
    _case("context empty", _R, {"context": ""}, "EmptyValue@context"),
    _case("context with U+FFFE", _R, {"context": "a\ufffe"}, "ControlCharacter@context"),
    _case("ACL empty", _R, {"gwAuthAcl": ""}, "EmptyValue@gwAuthAcl"),
    # Variables
    _case("variable sipgw_revision", _C, _variables(("sipgw_revision", "1")), "VariableReserved@variables[0].name"),
    _case("variable SIPGW_Revision", _C, _variables(("SIPGW_Revision", "1", "inbound")),
          "VariableReserved@variables[0].name"),
    _case("variable without name", _C, _variables(("", "1")), "VariableNameInvalid@variables[0].name"),
    _case("variable name with [", _C, _variables(("a[1]", "1")), "VariableNameInvalid@variables[0].name"),
    _case("variable name with a blank", _C, _variables(("a b", "1")), "VariableNameInvalid@variables[0].name"),
    _case("variable name with a line end", _C, _variables(("a\n", "1")), "VariableNameInvalid@variables[0].name"),
    _case("variable of ARRAY::", _C, _variables(("a", "ARRAY::1|:2")), "VariableArray@variables[0].value"),
    _case("variable with ARRAY:: inside", _C, _variables(("a", "x ARRAY::1"))),
    _case("variable empty", _C, _variables(("a", "")), "VariableEmpty@variables[0].value"),
    _case("variable of many lines", _C, _variables(("a", "1\r\n2\t3"))),
    _case("variable with NUL", _C, _variables(("a", "1\x00")), "VariableCharacter@variables[0].value"),
    _case("variable with U+FFFF", _C, _variables(("a", "1\uffff")), "VariableCharacter@variables[0].value"),
    _case("variable with 4-byte UTF-8", _C, _variables(("a", "\U0001f4de"))),
    _case("header variable with a line end", _C, _variables(("sip_h_X-A", "1\r\nX-Evil: 2")),
          "VariableLineEnd@variables[0].value"),
    _case("header variable without a header", _C, _variables(("SIP_H_", "1")), "VariableHeaderInvalid@variables[0].name"),
    _case("header variable with a colon", _C, _variables(("sip_h_X:Y", "1")), "VariableHeaderInvalid@variables[0].name"),
    _case("SDP variable of many lines", _C, _variables(("sip_append_audio_sdp", "a=x\r\na=y"))),
    _case("variable that is expanded", _C, _variables(("a", "x${b}")), "", "VariableExpansion@variables[0].value"),
    _case("variable that is expanded by the pre-processor", _C, _variables(("a", "$${b}")), "",
          "VariableExpansion@variables[0].value"),
    _case("variable twice on both legs", _C, _variables(("a", "1"), ("A", "2")), "VariableTwice@variables[1].name"),
    _case("variable twice, once on one leg", _C, _variables(("a", "1"), ("a", "2", "inbound")),
          "VariableTwice@variables[1].name"),
    _case("variable on each leg", _C, _variables(("a", "1", "outbound"), ("a", "2", "inbound"))),
    _case("variable direction both", _C, _variables(("a", "1", "both")), "VariableDirection@variables[0].direction"),
    _case("variable direction in capitals", _C, _variables(("a", "1", "Inbound")),
          "VariableDirection@variables[0].direction"),
    _case("variable without value", _C, {"variables": [{"name": "a"}]}, "MissingField@variables[0].value"),
    _case("variable value a number", _C, {"variables": [{"name": "a", "value": 1}]}, "WrongType@variables[0].value"),
    _case("65 variables", _C, _variables(*((f"v{n}", "1") for n in range(65))), "TooMany@variables"),
    _case("64 variables", _C, _variables(*((f"v{n}", "1") for n in range(64)))),
    # Subscriptions
    _case("subscription", _R, _subscription()),
    _case("subscription of an unknown word", _R, _subscription(event="message summary"),
          "SubscriptionEventInvalid@subscriptions[0].event"),
    _case("subscription with parameters", _R, _subscription(event="dialog;id=1"),
          "SubscriptionEventInvalid@subscriptions[0].event"),
    _case("subscription without event", _R, {"subscriptions": [{}]}, "MissingField@subscriptions[0].event"),
    _case("subscription of a template", _R, _subscription(event="presence.winfo")),
    _case("subscription twice", _R, {"subscriptions": [{"event": "presence"}, {"event": "Presence"}]},
          "SubscriptionTwice@subscriptions[1].event"),
    _case("subscription expire 4", _R, _subscription(expireSeconds=4), "NumberCoerced@subscriptions[0].expireSeconds"),
    _case("subscription retry 9", _R, _subscription(retrySeconds=9), "NumberCoerced@subscriptions[0].retrySeconds"),
    _case("subscription retry 10", _R, _subscription(retrySeconds=10)),
    _case("subscription retry of two days", _R, _subscription(retrySeconds=172_800),
          "NumberTooLarge@subscriptions[0].retrySeconds"),
    _case("subscription content type without subtype", _R, _subscription(contentType="text"),
          "SubscriptionTypeInvalid@subscriptions[0].contentType"),
    _case("subscription content type with CR LF", _R, _subscription(contentType="a/b\r\nX: y"),
          "SubscriptionTypeInvalid@subscriptions[0].contentType"),
    # Extra parameters
    _case("extra parameter", _C, _extra(("x-mode", "1"))),
    _case("extra parameter proxy", _C, _extra(("proxy", "a")), "ExtraParamModelled@extraParams[0].name"),
    _case("extra parameter password", _C, _extra(("password", "a")), "ExtraParamModelled@extraParams[0].name"),
    _case("extra parameter retry_seconds", _C, _extra(("retry_seconds", "30")), "ExtraParamModelled@extraParams[0].name"),
    _case("extra parameter Expire-Seconds", _C, _extra(("Expire-Seconds", "30")),
          "ExtraParamModelled@extraParams[0].name"),
    _case("extra parameter cid-type", _C, _extra(("cid-type", "rpid")), "", "CidTypeIgnored@extraParams[0].name"),
    _case("extra parameter with a blank", _C, _extra(("x mode", "1")), "ExtraParamNameInvalid@extraParams[0].name"),
    _case("extra parameter twice", _C, _extra(("x", "1"), ("x", "2")), "ExtraParamTwice@extraParams[1].name"),
    _case("extra parameter with a line end", _C, _extra(("x", "1\n")), "ControlCharacter@extraParams[0].value"),
    _case("extra parameter empty", _C, _extra(("x", "")), "EmptyValue@extraParams[0].value"),
    # Structure
    _case("unknown field", _R, {"expire-seconds": 600}, "UnknownField@expire-seconds"),
    _case("unknown field in a variable", _C, {"variables": [{"name": "a", "value": "1", "leg": "both"}]},
          "UnknownField@variables[0].leg"),
    _case("register as text", _R, {"register": "true"}, "WrongType@register"),
    _case("register as a number", _R, {"register": 1}, "WrongType@register"),
    _case("variables as a mapping", _C, {"variables": {"a": "1"}}, "WrongType@variables"),
    _case("directory as text", _C, {"directory": "1000"}, "WrongType@directory"),
    _case("placement One", _C, {"placement": "One"}, "PlacementUnknown@placement"),
    _case("null is not set", _R, {"registerTransport": None, "ping": None, "variables": None, "directory": None}),
    _case("proxy of 256", _R, {"proxy": "a" * 256}, "TooLong@proxy"),
)  # fmt: skip
