"""Codes of single parameters: what mod_sofia would put into SIP messages, drop or replace."""

from __future__ import annotations

from sipgateway.api.codes.code import Code

# Single parameters: what mod_sofia would put into SIP messages, drop or replace.

EMPTY_VALUE = Code(
    "EmptyValue",
    "A text is set, but empty.",
    "mod_sofia takes an empty value as not set and uses its default, without a word; an empty contact-host even goes "
    "out as an empty host.",
    "Give a value, or remove the field.",
)
CONTROL_CHARACTER = Code(
    "ControlCharacter",
    "A text holds a control character, a line end, or a character that XML cannot carry.",
    "mod_sofia pastes parameters into SIP messages as they are: a line end starts a header of its own (fact 33).",
    "Remove the character; a text block of YAML (`|`) ends with a line end, write the value in quotes instead.",
)
SIP_USER_INVALID = Code(
    "SipUserInvalid",
    "A SIP user has characters that must not stand there as they are (RFC 3261, `user`).",
    'With a blank, `;`, `?` or `%` nothing is sent and the gateway stays in TRYING; with `@ : # < " \\` it fails '
    "(fact 33). mod_sofia escapes nothing.",
    "Use letters, digits and `- _ . ! ~ * ' ( ) & = + $`; a carrier's digest user goes into authUsername.",
)
DIGEST_USER_INVALID = Code(
    "DigestUserInvalid",
    'A digest user name has `"`, `\\` or `:`.',
    "It is written between quotes as it is, and sofia-sip divides its credentials at `:`: the carrier would get "
    "another user name.",
    "Ask the carrier for a user name without these characters.",
)
REALM_INVALID = Code(
    "RealmInvalid",
    'The realm has `"` or `\\`.',
    "A realm stands between quotes; mod_sofia would never find the gateway for the carrier's challenge.",
    "Write the realm as it stands between the quotes of the carrier's challenge.",
)
HOST_INVALID = Code(
    "HostInvalid",
    "A host is not a host name or an IP address as this field needs it.",
    "mod_sofia pastes it into URIs as it is (fact 33); around an IPv6 address in contact-host it writes the "
    "brackets itself.",
    "Write a host name or an IP address.",
)
PROXY_INVALID = Code(
    "ProxyInvalid",
    "proxy is not host[:port][;uri-parameters].",
    "mod_sofia pastes it into the request URI, From, To and the ping's URIs as it is (fact 33).",
    "Write host, host:port or host:port;parameters.",
)
PROXY_SCHEME = Code(
    "ProxyScheme",
    "proxy begins with `sip:` or `sips:`.",
    "mod_sofia puts `sip:` in front itself: the request URI becomes `sip:sip:host` (fact 24h).",
    "Remove the scheme; for TLS set registerTransport: tls.",
)
PORT_MISSING = Code(
    "PortMissing",
    "A proxy has URI parameters, but no port.",
    "mod_sofia takes `host;transport=udp` as the host's name, does not recognise the address that a digest challenge "
    "comes from, and the gateway stays in TRYING for ever (fact 35).",
    "Write the port too, such as host:5060;transport=tcp, or name an ACL of the carrier's addresses in gwAuthAcl.",
)
SIP_URI_INVALID = Code(
    "SipUriInvalid",
    "outboundProxy or registerProxy is not [sip:]host[:port][;uri-parameters].",
    "mod_sofia pastes it into the route as it is (fact 33), and does not recognise the address behind a "
    "URI with a user.",
    "Write host, host:port, or a sip: or sips: URI without a user.",
)
URI_PARAMS_INVALID = Code(
    "UriParamsInvalid",
    "contactParams is not a list of URI parameters, or has one that mod_sofia writes itself.",
    "It is pasted into the Contact as it is (fact 33), in front of mod_sofia's own `transport` and `gw`; a URI is "
    "cut at `;fs_`.",
    "Write name=value;name=value; set the transport by registerTransport.",
)
NUMBER_COERCED = Code(
    "NumberCoerced",
    "A number is below what mod_sofia takes.",
    "mod_sofia replaces it by its default without telling anybody but its log (gateway-params.md).",
    "Write a number within the bounds, or remove the field to take the default.",
)
NUMBER_TOO_SMALL = Code(
    "NumberTooSmall",
    "A count is below 1.",
    "With pingMin 0 an unanswered ping never puts the gateway DOWN, with pingMax 0 no answered one is counted; the "
    "flows of RFC 5626 are counted from 1.",
    "Write 1 or more, or remove the field.",
)
NUMBER_TOO_LARGE = Code(
    "NumberTooLarge",
    "A number is above what makes sense.",
    "mod_sofia keeps numbers in 32 bits, and intervals beyond a day are mistakes.",
    "Write a number within the bounds.",
)
PING_TOO_SHORT = Code(
    "PingTooShort",
    "ping is below 5 seconds.",
    "With 1 to 4 mod_sofia writes an error to its log and sends no ping, with 0 it sends none either: a dead carrier "
    "stays UP.",
    "Write 5 or more, or remove ping to switch pings off.",
)
CHOICE_UNKNOWN = Code(
    "ChoiceUnknown",
    "A word is none of those that the field knows.",
    "mod_sofia drops a gateway with an unknown transport, and the switch answers +OK (fact 13); it compares the "
    "beginning of words, so `tcpX` would be tcp.",
    "Write one of the words of the field.",
)
PARAMETER_REFUSED = Code(
    "ParameterRefused",
    "A parameter that is unsafe on any switch whose XML is ever reloaded.",
    "For pingUserAgent mod_sofia keeps a pointer into the XML tree: after any reload OPTIONS go out with freed memory "
    "as their User-Agent (fact 24f).",
    "Remove the field; the profile's user-agent-string serves all gateways of the profile.",
)
