"""The parameter table: one row per parameter that mod_sofia reads. The single source (docs/gateway-params.md).

From it come the parser, the renderer, the importer, the CRD's schema and the reference page.
Adding a parameter is adding a row. The order of the rows is the order in every rendered file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """Type of a parameter's value."""

    BOOL = "bool"
    INT = "int"
    TEXT = "text"


class Grammar(StrEnum):
    """What a text value must be, because mod_sofia pastes it into SIP messages as it is (fact 33)."""

    TEXT = "text"  # never on the wire: any text that XML can carry, no control characters
    USER = "user"  # RFC 3261 25.1 `user`, unescaped characters only (fact 33)
    AUTH_USER = "auth-user"  # quoted-string content of a digest username
    REALM = "realm"  # quoted-string content of a digest realm
    SCHEME = "scheme"  # RFC 3261 `token`
    HOST = "host"  # hostname, IPv4 or IPv6 without brackets and without port
    HOST_PORT = "host-port"  # host[:port]
    PROXY = "proxy"  # host[:port][;uri-parameters], no scheme
    HOST_OR_URI = "host-or-uri"  # the same, or a sip:/sips: URI without a user
    URI_PARAMS = "uri-params"  # RFC 3261 `uri-parameters`, a leading `;` is optional
    SECRET = "secret"  # digest password: only its hash is sent; no `:`, at which sofia-sip divides credentials


@dataclass(frozen=True, slots=True)
class Param:
    """One row of the table.

    Attributes:
        field: name in `spec`, camelCase.
        xml: mod_sofia's name.
        kind, grammar: type of the value; `grammar` only matters for text.
        default: FreeSWITCH's own default when it is a constant, else None.
        default_doc: the default in words.
        minimum, maximum: bounds of an integer, inclusive (seconds where the doc says so).
        choices: allowed words, empty when free.
        words: words that mean something beside the grammar (`auto_to_user`).
        aliases: other XML names that mod_sofia reads as this one.
        secret: the value comes from a Secret and is never a literal in `spec`.
        secret_source: name of the `...From` field, if there is one.
        refused: not None: setting it is refused, and this says why.
        doc: one line for people.
        example: a value as YAML.
        hazard: what mod_sofia does with a bad value.
        max_length: in characters.
    """

    field: str
    xml: str
    kind: Kind
    doc: str
    hazard: str
    grammar: Grammar = Grammar.TEXT
    default: str | int | bool | None = None
    default_doc: str = ""
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    secret: bool = False
    secret_source: str | None = None
    refused: str | None = None
    max_length: int = 255
    example: str = ""


#: Upper bound of every number of seconds: mod_sofia keeps them in 32 bits; a day is far beyond any use.
_MAX_SECONDS = 86_400

PARAMS: tuple[Param, ...] = (
    Param(
        "register",
        "register",
        Kind.BOOL,
        example="false",
        default=True,
        doc="Whether the gateway REGISTERs with the proxy. True needs a username and a password.",
        hazard="True without username or password: the gateway is dropped and the switch answers +OK (fact 13).",
    ),
    Param(
        "username",
        "username",
        Kind.TEXT,
        example="acme-pbx-17",
        grammar=Grammar.USER,
        secret_source="usernameFrom",
        default_doc="`FreeSWITCH` when register is false; required otherwise",
        doc="SIP user of the address of record and, unless authUsername is set, of the digest.",
        hazard="Other than SIP user characters: nothing is sent and the gateway stays in TRYING, or fails (fact 33).",
    ),
    Param(
        "authUsername",
        "auth-username",
        Kind.TEXT,
        example="17@carrier.example.com",
        grammar=Grammar.AUTH_USER,
        default_doc="username",
        doc="User name in the digest answer, where the carrier wants another than the SIP user.",
        hazard="With realm and password over 244 bytes the digest is cut and refused with 403 (fact 34).",
    ),
    Param(
        "password",
        "password",
        Kind.TEXT,
        grammar=Grammar.SECRET,
        secret=True,
        secret_source="passwordFrom",
        default_doc="empty; required to register",
        doc="Digest password. Only ever from a Secret, by passwordFrom.",
        hazard="Empty with register true: the gateway is dropped and the switch answers +OK (fact 13).",
    ),
    Param(
        "realm",
        "realm",
        Kind.TEXT,
        example="carrier.example.com",
        grammar=Grammar.REALM,
        default_doc="proxy, else the gateway's name",
        doc="Digest realm, and the host to call when proxy is not set.",
        hazard="A realm that the carrier does not use in its challenge: the challenge is not answered.",
    ),
    Param(
        "scheme",
        "scheme",
        Kind.TEXT,
        example="Digest",
        grammar=Grammar.SCHEME,
        default="Digest",
        default_doc="Digest",
        choices=("Digest",),
        doc="Authentication scheme.",
        hazard="mod_sofia sends the word as it is; no carrier knows another than Digest.",
    ),
    Param(
        "fromUser",
        "from-user",
        Kind.TEXT,
        example="+15550100",
        grammar=Grammar.USER,
        default_doc="username",
        doc="User of the From header.",
        hazard="Pasted into the From URI as it is (fact 33).",
    ),
    Param(
        "fromDomain",
        "from-domain",
        Kind.TEXT,
        example="pbx.example.com",
        grammar=Grammar.HOST_PORT,
        default_doc="proxy",
        words=("auto-aleg-full", "auto-aleg-domain"),
        doc="Host of the From header; auto-aleg-full and auto-aleg-domain take the caller's, on outbound INVITEs only.",
        hazard="auto-aleg-* goes out literally in REGISTER and in OPTIONS pings (fact 24g).",
    ),
    Param(
        "callerIdInFrom",
        "caller-id-in-from",
        Kind.BOOL,
        example="true",
        default=False,
        doc="Puts the caller id of the inbound leg into the From of outbound calls.",
        hazard="Any word but true yes on enabled active allow or a non-zero number is false.",
    ),
    Param(
        "extension",
        "extension",
        Kind.TEXT,
        example="auto_to_user",
        default_doc="username",
        words=("auto_to_user", "auto"),
        doc="Dialplan destination of inbound calls; auto_to_user takes the To user, auto the request's user.",
        hazard="With extensionInContact it is pasted into the Contact URI as it is (fact 33).",
    ),
    Param(
        "extensionInContact",
        "extension-in-contact",
        Kind.BOOL,
        example="true",
        default=False,
        doc="Registers the extension as the Contact's user instead of gw+NAME.",
        hazard="Any word but a true one is false.",
    ),
    Param(
        "context",
        "context",
        Kind.TEXT,
        example="from-carrier",
        default_doc="the profile's",
        doc="Dialplan context of inbound calls.",
        hazard="An unknown context: inbound calls find no extension and end with 404.",
    ),
    Param(
        "proxy",
        "proxy",
        Kind.TEXT,
        example="sip.carrier.example.com:5060",
        grammar=Grammar.PROXY,
        default_doc="realm, else the gateway's name",
        doc="Registrar and destination: host[:port][;uri-parameters], without sip: in front.",
        hazard="sip: in front makes the request URI sip:sip:host (24h); parameters without a port: challenges are "
        "not recognised and the gateway stays in TRYING (35).",
    ),
    Param(
        "outboundProxy",
        "outbound-proxy",
        Kind.TEXT,
        example="sbc.carrier.example.com",
        grammar=Grammar.HOST_OR_URI,
        default_doc="none",
        doc="Where calls are sent, when not to proxy.",
        hazard="Pasted into the route as it is (fact 33).",
    ),
    Param(
        "registerProxy",
        "register-proxy",
        Kind.TEXT,
        example="registrar.carrier.example.com:5080",
        grammar=Grammar.HOST_OR_URI,
        default_doc="none",
        doc="Where REGISTER is sent, when not to proxy.",
        hazard="Pasted into the route as it is (fact 33).",
    ),
    Param(
        "registerTransport",
        "register-transport",
        Kind.TEXT,
        example="tcp",
        default="udp",
        default_doc="udp",
        choices=("udp", "tcp", "tls", "sctp"),
        doc="Transport of the REGISTER. tls needs TLS on the profile.",
        hazard="An unknown word, or tls on a profile without TLS: the gateway is dropped, the switch answers +OK (13).",
    ),
    Param(
        "expireSeconds",
        "expire-seconds",
        Kind.INT,
        example="600",
        default=3600,
        default_doc="3600",
        minimum=5,
        maximum=_MAX_SECONDS,
        doc="Lifetime asked for in REGISTER, in seconds.",
        hazard="Below 5 it is silently replaced by 3600.",
    ),
    Param(
        "retrySeconds",
        "retry-seconds",
        Kind.INT,
        example="30",
        default=30,
        default_doc="30",
        minimum=5,
        maximum=_MAX_SECONDS,
        aliases=("retry_seconds",),
        doc="Wait after a failed REGISTER in seconds, times the number of failures, without a cap (fact 23).",
        hazard="Below 5 it is silently replaced by 30.",
    ),
    Param(
        "retrySeconds908",
        "908-retry-seconds",
        Kind.INT,
        example="10",
        default_doc="none",
        minimum=1,
        maximum=_MAX_SECONDS,
        doc="Wait in seconds after a REGISTER that was not answered within timeoutSeconds.",
        hazard="0 or a word counts as not set.",
    ),
    Param(
        "timeoutSeconds",
        "timeout-seconds",
        Kind.INT,
        example="20",
        default=60,
        default_doc="60",
        minimum=5,
        maximum=_MAX_SECONDS,
        doc="How long an answer to REGISTER is waited for, in seconds.",
        hazard="Below 5 it is silently replaced by 60.",
    ),
    Param(
        "ping",
        "ping",
        Kind.INT,
        example="30",
        default_doc="off",
        minimum=5,
        maximum=_MAX_SECONDS,
        doc="Interval of OPTIONS pings in seconds.",
        hazard="1 to 4: an error in the switch's log and no ping.",
    ),
    Param(
        "pingMin",
        "ping-min",
        Kind.INT,
        example="2",
        default=1,
        default_doc="1",
        minimum=1,
        maximum=1000,
        doc="Answered pings needed to go UP. Counts only with register false (fact 37).",
        hazard="Above pingMax the gateway never comes UP again (fact 37).",
    ),
    Param(
        "pingMax",
        "ping-max",
        Kind.INT,
        example="3",
        default=1,
        default_doc="1",
        minimum=1,
        maximum=1000,
        doc="Ceiling of the counter of answered pings. Counts only with register false (fact 37).",
        hazard="Below pingMin the gateway never comes UP again (fact 37).",
    ),
    Param(
        "pingMonitoring",
        "ping-monitoring",
        Kind.BOOL,
        example="true",
        default=False,
        doc="Fires an event for each ping.",
        hazard="Any word but a true one is false.",
    ),
    Param(
        "contactInPing",
        "contact-in-ping",
        Kind.BOOL,
        example="true",
        default=False,
        doc="Sends the Contact in OPTIONS pings.",
        hazard="Any word but a true one is false.",
    ),
    Param(
        "pingUserAgent",
        "ping-user-agent",
        Kind.TEXT,
        default_doc="the switch's",
        refused="mod_sofia keeps a pointer into the XML tree; after any reload the OPTIONS go out with freed memory "
        "as their User-Agent (fact 24f)",
        doc="User-Agent of OPTIONS pings. Refused: unsafe on a switch whose XML is ever reloaded.",
        hazard="Freed memory goes out on the wire after the first reload (fact 24f).",
    ),
    Param(
        "contactParams",
        "contact-params",
        Kind.TEXT,
        example="tgrp=acme;trunk-context=example.com",
        grammar=Grammar.URI_PARAMS,
        default_doc="none",
        doc="URI parameters of the Contact; a leading ; is optional.",
        hazard="Pasted into the Contact as it is: a line break would start a SIP header of its own (fact 33).",
    ),
    Param(
        "contactHost",
        "contact-host",
        Kind.TEXT,
        example="198.51.100.7",
        grammar=Grammar.HOST,
        words=("sip-ip",),
        default_doc="the profile's ext-sip-ip, else its sip-ip",
        doc="Host in the Contact; sip-ip takes the profile's address.",
        hazard="In a pod the default is the pod's address, which a carrier cannot reach.",
    ),
    Param(
        "distinctTo",
        "distinct-to",
        Kind.BOOL,
        example="true",
        default=False,
        doc="Sends username@proxy in the To of REGISTER, instead of the same as in From.",
        hazard="Any word but a true one is false.",
    ),
    Param(
        "destinationPrefix",
        "destination-prefix",
        Kind.TEXT,
        example="011",
        default_doc="none",
        grammar=Grammar.USER,
        doc="Put in front of the destination number of outbound calls.",
        hazard="Pasted into the request URI as it is (fact 33).",
    ),
    Param(
        "rfc5626",
        "rfc-5626",
        Kind.BOOL,
        example="true",
        default=False,
        doc="Outbound flow of RFC 5626; needs enable-rfc-5626 on the profile, and regId.",
        hazard="Without regId it sends reg-id=(null).",
    ),
    Param(
        "regId",
        "reg-id",
        Kind.INT,
        example="1",
        default_doc="none",
        minimum=1,
        maximum=2_147_483_647,
        doc="reg-id of the outbound flow (RFC 5626, section 4.2).",
        hazard="Without rfc5626 it is ignored.",
    ),
    Param(
        "gwAuthAcl",
        "gw-auth-acl",
        Kind.TEXT,
        example="carrier-addresses",
        default_doc="none",
        doc="ACL of addresses whose digest challenges are answered, instead of those of the proxies (fact 35).",
        hazard="An unknown ACL name matches nothing: the gateway never registers (fact 35).",
    ),
)

#: Rows by field name and by XML name (aliases included).
BY_FIELD: Mapping[str, Param] = MappingProxyType({p.field: p for p in PARAMS})
BY_XML: Mapping[str, Param] = MappingProxyType({name: p for p in PARAMS for name in (p.xml, *p.aliases)})

#: Words that mod_sofia takes as true; a non-zero number too. Everything else is false.
TRUE_WORDS = frozenset({"true", "t", "yes", "on", "enabled", "active", "allow"})
