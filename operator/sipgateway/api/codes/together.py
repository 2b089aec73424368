"""Codes of parameters that contradict each other, or do nothing together."""

from __future__ import annotations

from sipgateway.api.codes.code import Code
from sipgateway.errors import Severity

# Parameters together.

USERNAME_TWICE = Code(
    "UsernameTwice",
    "Both username and usernameFrom are given.",
    "Only one of them can be the gateway's user name.",
    "Remove one of them.",
)
REGISTER_NEEDS_USERNAME = Code(
    "RegisterNeedsUsername",
    "The gateway registers (register is true unless it says false), but has no user name.",
    "mod_sofia drops it, and the switch answers +OK (fact 13).",
    "Set username or usernameFrom, or register: false.",
)
REGISTER_NEEDS_PASSWORD = Code(
    "RegisterNeedsPassword",
    "The gateway registers (register is true unless it says false), but has no password.",
    "mod_sofia drops it, and the switch answers +OK (fact 13).",
    "Set passwordFrom, or register: false.",
)
NO_DESTINATION = Code(
    "NoDestination",
    "Neither proxy nor realm is set, and the gateway's name is no host name with a dot.",
    "mod_sofia would send calls and REGISTERs to a host of the gateway's name.",
    "Set proxy to the carrier's host.",
)
NAME_IS_DESTINATION = Code(
    "NameIsDestination",
    "Neither proxy nor realm is set: calls and REGISTERs go to a host of the gateway's name.",
    "That is what mod_sofia does, and old configurations use it; renaming the gateway would change where calls go.",
    "Set proxy to the carrier's host.",
    Severity.WARNING,
)
REALM_IS_DESTINATION = Code(
    "RealmIsDestination",
    "proxy is not set, and realm is not host[:port][;uri-parameters].",
    "Without proxy mod_sofia sends calls and REGISTERs to the realm, pasted as it is.",
    "Set proxy to the carrier's host.",
)
TRANSPORT_CONTRADICTION = Code(
    "TransportContradiction",
    "proxy has another transport than registerTransport.",
    "The transport in proxy wins for sending (fact 24h), while the Contact says registerTransport: the carrier would "
    "call back over a transport that is not used.",
    "Remove transport= from proxy.",
)
TRANSPORT_ONLY_IN_PROXY = Code(
    "TransportOnlyInProxy",
    "proxy has a transport, and registerTransport is not set, so it is udp.",
    "The transport in proxy wins for sending (fact 24h), while the Contact says transport=udp.",
    "Set registerTransport to the same transport instead.",
    Severity.WARNING,
)
TLS_NEEDS_PROFILE = Code(
    "TlsNeedsProfile",
    "registerTransport is tls.",
    "On a profile without TLS mod_sofia drops the gateway, and the switch answers +OK (fact 13). The manifest cannot "
    "tell whether the profile has it.",
    'Make sure that the profile has `<param name="tls" value="true"/>` and a certificate.',
    Severity.WARNING,
)
PING_BOUNDS = Code(
    "PingBounds",
    "pingMax is below pingMin (each is 1 when not set).",
    "Once DOWN the gateway never comes UP again (fact 37).",
    "Set pingMax to at least pingMin.",
)
PING_BOUNDS_IGNORED = Code(
    "PingBoundsIgnored",
    "pingMin or pingMax is set on a gateway that registers.",
    "They count only with register false: on a registering gateway one unanswered ping puts it into FAIL_WAIT and DOWN "
    "for retrySeconds (fact 37).",
    "Remove pingMin and pingMax, or set register: false.",
    Severity.WARNING,
)
USELESS_WITHOUT_PING = Code(
    "UselessWithoutPing",
    "A field of pings is set, but ping is not.",
    "Without ping nothing is sent that it could change.",
    "Set ping, or remove the field.",
    Severity.WARNING,
)
USELESS_WITHOUT_REGISTER = Code(
    "UselessWithoutRegister",
    "A field of REGISTER is set on a gateway with register false.",
    "No REGISTER is sent that it could change.",
    "Remove the field, or set register: true.",
    Severity.WARNING,
)
USELESS_WITHOUT_PASSWORD = Code(
    "UselessWithoutPassword",
    "authUsername is set, but no password.",
    "Challenges are answered with an empty password.",
    "Set passwordFrom, or remove authUsername.",
    Severity.WARNING,
)
RFC5626_NEEDS_REG_ID = Code(
    "Rfc5626NeedsRegId",
    "rfc5626 is true, but regId is not set.",
    "mod_sofia sends `reg-id=(null)`.",
    "Set regId to 1, or to the number of the flow (RFC 5626, section 4.2).",
)
REG_ID_NEEDS_RFC5626 = Code(
    "RegIdNeedsRfc5626",
    "regId is set, but rfc5626 is not true.",
    "mod_sofia ignores it without a word: the flow that it stands for does not exist.",
    "Set rfc5626: true, or remove regId.",
)
EXTENSION_NOT_USER = Code(
    "ExtensionNotUser",
    "extensionInContact is true, and extension is not a SIP user.",
    "mod_sofia pastes it into the Contact as it is (fact 33).",
    "Use letters, digits and `- _ . ! ~ * ' ( ) & = + $` in extension.",
)
AUTO_ALEG_LITERAL = Code(
    "AutoAlegLiteral",
    "fromDomain is auto-aleg-full or auto-aleg-domain on a gateway that registers, pings or subscribes.",
    "The caller's host is put in on outbound INVITEs only; REGISTER, SUBSCRIBE and OPTIONS pings go out with the word "
    "itself as their host (fact 24g).",
    "Ask the carrier whether it minds, or use a second gateway with register: false and no ping for calls.",
    Severity.WARNING,
)
SHORT_EXPIRE = Code(
    "ShortExpire",
    "expireSeconds is below 60.",
    "Each gateway sends a REGISTER each few seconds; carriers answer 423 or block the address.",
    "Write 60 or more, unless the carrier asks for less.",
    Severity.WARNING,
)
CONTACT_MAY_BE_POD_ADDRESS = Code(
    "ContactMayBePodAddress",
    "The gateway registers without contactHost.",
    "Only where the switch runs in a pod without host network, and its profile has no ext-sip-ip: the Contact then "
    "carries the pod's address, which a carrier cannot reach, and inbound calls are lost.",
    "There, set contactHost to the address by which the carrier reaches the switch; elsewhere nothing is to do.",
    Severity.WARNING,
)
IPV6_CHALLENGE = Code(
    "Ipv6Challenge",
    "The gateway has a password, and its proxy is an IPv6 address in brackets.",
    "By its source, mod_sofia compares the sender of a challenge with the address and its brackets, which never match: "
    "the gateway would stay in TRYING (fact 35).",
    "Name an ACL of the carrier's addresses in gwAuthAcl, or use a host name.",
    Severity.WARNING,
)
DIGEST_TOO_LONG = Code(
    "DigestTooLong",
    "User name, realm and password together have more than 244 bytes.",
    "mod_sofia computes the digest in a buffer of 256 bytes: the password is cut off and refused with 403 (fact 34).",
    "Ask the carrier for shorter credentials.",
)
