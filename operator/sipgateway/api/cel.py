"""The CEL rules of the CRD: the same refusals as checks/, as far as one object alone can tell.

In: the codes, the grammars and the limits. Out: `Rule` values by the place in the schema where they stand. A rule's
message is its code's own text, so that `kubectl apply` and `sipgw lint` say the same. Warnings have no place in a CRD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sipgateway.api import grammar
from sipgateway.api.checks import lists as lists_checks
from sipgateway.api.checks.parameters import CODE_OF_GRAMMAR, too_small
from sipgateway.api.checks.together import DIGEST_BYTES
from sipgateway.api.codes import lists, parameters, structure, together
from sipgateway.api.codes.code import Code
from sipgateway.api.names import RESERVED_GATEWAY_NAMES, REVISION_VARIABLE
from sipgateway.api.params import BY_XML, PARAMS, Grammar, Kind, Param


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `x-kubernetes-validations`.

    Attributes:
        code: what it refuses; the message is made of it.
        expression: CEL, true when the value is fine.
        field: path relative to the place of the rule that the refusal is shown at, such as `.proxy`.
        message: None takes the code's meaning, reason and action.
    """

    code: Code
    expression: str
    field: str | None = None
    message: str | None = None

    def text(self) -> str:
        """The message: the code first, so that it can be looked up in docs/codes.md."""
        words = f"{self.code.meaning} {self.code.why} {self.code.action}" if self.message is None else self.message
        return f"{self.code.name}: {words}"


def literal(pattern: str) -> str:
    """A regular expression as a raw CEL string."""
    return f'r"{pattern}"'


def whole(subject: str, pattern: str) -> str:
    """CEL: all of `subject` matches."""
    return f"{subject}.matches({literal(f'^(?:{pattern})$')})"


def holds(subject: str, pattern: str) -> str:
    """CEL: some part of `subject` matches."""
    return f"{subject}.matches({literal(pattern)})"


def _given(field: str) -> str:
    return f"(has(self.{field}) && size(self.{field}) > 0)"


def _or(field: str, otherwise: str) -> str:
    return f"(has(self.{field}) ? self.{field} : {otherwise})"


_CONTROL = holds("self", grammar.CONTROL)


def _proxy_rule(pattern: str) -> str:
    return (
        f"{whole('self', pattern)} && !{holds('self', grammar.RESERVED_PROXY_PARAM)} && "
        f"(!{holds('self', grammar.TRANSPORT_PARAM)} || {holds('self', grammar.TRANSPORT_PARAM_KNOWN)}) && "
        f"!{holds('self', grammar.TWICE)}"
    )


def of_parameter(param: Param) -> tuple[Rule, ...]:
    """The rules of one row, on its own field."""
    if param.kind is Kind.INT and param.minimum is not None:
        code, why = too_small(param)
        return (Rule(code, f"self >= {param.minimum}", message=f"{why} {code.action}"),)
    if param.kind is not Kind.TEXT or param.choices or param.refused is not None:
        return ()
    # An empty text is refused by minLength, and only for being empty.
    if param.grammar is Grammar.TEXT:
        return (Rule(parameters.CONTROL_CHARACTER, f"!{_CONTROL}"),)
    return (
        Rule(parameters.CONTROL_CHARACTER, f"!{_CONTROL}"),
        *(Rule(code, f"self == '' || {_CONTROL} || ({expression})") for code, expression in _of_grammar(param.grammar)),
    )


def _of_grammar(of: Grammar) -> tuple[tuple[Code, str], ...]:
    """Codes and what must hold of a text that is not empty and has no control characters."""
    pattern = grammar.pattern(of)
    if of is Grammar.PROXY:
        scheme = holds("self", r"(?i)^sips?:")
        return (parameters.PROXY_SCHEME, f"!{scheme}"), (
            parameters.PROXY_INVALID,
            f"{scheme} || ({_proxy_rule(pattern)})",
        )
    if of is Grammar.HOST_OR_URI:
        return ((parameters.SIP_URI_INVALID, _proxy_rule(pattern)),)
    if of is Grammar.URI_PARAMS:
        reserved = f"!{holds('self', grammar.RESERVED_CONTACT_PARAM)}"
        once = f"!{holds('self', grammar.TWICE)}"
        return ((parameters.URI_PARAMS_INVALID, f"{whole('self', pattern)} && {reserved} && {once}"),)
    return ((CODE_OF_GRAMMAR[of], whole("self", pattern)),)


_REGISTERS = "(!has(self.register) || self.register)"
_USERNAME = _or("username", "''")
_REALM = _or("realm", "''")
_AUTH_USER = f"({_given('authUsername')} ? self.authUsername : {_USERNAME})"
_WITHOUT_PORT = tuple(
    Rule(
        parameters.PORT_MISSING,
        f"{_given('gwAuthAcl')} || !has(self.{field}) || !{whole(f'self.{field}', grammar.PARAMS_WITHOUT_PORT)}",
        f".{field}",
    )
    for field in ("proxy", "outboundProxy", "registerProxy")
)

#: Rules on `spec`: fields together.
ON_SPEC: tuple[Rule, ...] = (
    *(Rule(parameters.PARAMETER_REFUSED, f"!has(self.{p.field})", f".{p.field}") for p in PARAMS if p.refused),
    *_WITHOUT_PORT,
    Rule(together.USERNAME_TWICE, "!(has(self.username) && has(self.usernameFrom))", ".usernameFrom"),
    Rule(
        together.REGISTER_NEEDS_USERNAME,
        f"!{_REGISTERS} || has(self.username) || has(self.usernameFrom)",
        ".username",
    ),
    Rule(together.REGISTER_NEEDS_PASSWORD, f"!{_REGISTERS} || has(self.passwordFrom)", ".passwordFrom"),
    Rule(
        together.REALM_IS_DESTINATION,
        f"has(self.proxy) || !{_given('realm')} || ({whole('self.realm', grammar.pattern(Grammar.HOST_PORT))})",
        ".realm",
    ),
    Rule(
        together.TRANSPORT_CONTRADICTION,
        f"!has(self.proxy) || !{_given('registerTransport')} || "
        f"!{holds('self.proxy', grammar.TRANSPORT_PARAM_KNOWN)} || "
        "self.proxy.lowerAscii().contains(';transport=' + self.registerTransport)",
        ".registerTransport",
    ),
    Rule(together.PING_BOUNDS, f"{_or('pingMax', '1')} >= {_or('pingMin', '1')}", ".pingMax"),
    Rule(
        together.RFC5626_NEEDS_REG_ID,
        "!has(self.rfc5626) || !self.rfc5626 || has(self.regId)",
        ".regId",
    ),
    Rule(together.REG_ID_NEEDS_RFC5626, "!has(self.regId) || (has(self.rfc5626) && self.rfc5626)", ".regId"),
    Rule(
        together.EXTENSION_NOT_USER,
        f"!(has(self.extensionInContact) && self.extensionInContact) || !{_given('extension')} || "
        f"{holds('self.extension', grammar.CONTROL)} || "
        f"{whole('self.extension', grammar.pattern(Grammar.USER))}",
        ".extension",
    ),
    Rule(
        together.DIGEST_TOO_LONG,
        f"!has(self.passwordFrom) || size(bytes({_AUTH_USER})) + size(bytes({_REALM})) < {DIGEST_BYTES}",
    ),
)

#: Rules on the whole object, where metadata.name can be seen.
ON_OBJECT: tuple[Rule, ...] = (
    Rule(
        structure.GATEWAY_NAME_RESERVED,
        "has(self.spec.gatewayName) || "
        f"!(self.metadata.name in [{', '.join(repr(n) for n in sorted(RESERVED_GATEWAY_NAMES))}])",
        ".metadata.name",
    ),
    Rule(
        together.NO_DESTINATION,
        "has(self.spec.proxy) || (has(self.spec.realm) && size(self.spec.realm) > 0) || "
        f"{whole('(has(self.spec.gatewayName) ? self.spec.gatewayName : self.metadata.name)', grammar.DOTTED_NAME)}",
        ".spec.proxy",
    ),
)


def _seconds(minimum: int, default: int) -> tuple[Rule, ...]:
    code = parameters.NUMBER_COERCED
    words = f"Below {minimum} it is silently replaced by {default}. {code.action}"
    return (Rule(code, f"self >= {minimum}", message=words),)


_MODELLED = ", ".join(f"'{name}'" for name in sorted(name.lower() for name in BY_XML))
_RESERVED = ", ".join(f"'{name}'" for name in sorted(RESERVED_GATEWAY_NAMES))
_BODIES = ", ".join(f"'{name}'" for name in lists_checks.BODY_VARIABLES)

#: Rules on one text, by the path of fields.py.
ON_FIELD: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "switch": (Rule(structure.SWITCH_NAME_INVALID, whole("self", grammar.DNS_LABEL)),),
        "profile": (Rule(structure.PROFILE_NAME_INVALID, whole("self", grammar.PROFILE_NAME)),),
        "gatewayName": (
            Rule(structure.GATEWAY_NAME_RESERVED, f"!(self.lowerAscii() in [{_RESERVED}])"),
            Rule(structure.GATEWAY_NAME_INVALID, whole("self", grammar.GATEWAY_NAME)),
        ),
        "directory.domain": (Rule(structure.DIRECTORY_INVALID, whole("self", grammar.DIRECTORY_DOMAIN)),),
        "directory.user": (Rule(structure.DIRECTORY_INVALID, whole("self", grammar.DIRECTORY_USER)),),
        "secretKeyRef.name": (Rule(structure.SECRET_REFERENCE_INVALID, whole("self", grammar.DNS_SUBDOMAIN)),),
        "secretKeyRef.key": (Rule(structure.SECRET_REFERENCE_INVALID, whole("self", grammar.SECRET_KEY)),),
        "variables": (
            Rule(
                lists.VARIABLE_TWICE,
                "self.all(a, self.exists_one(b, a.name.lowerAscii() == b.name.lowerAscii() && "
                "(!has(a.direction) || !has(b.direction) || a.direction == b.direction)))",
            ),
        ),
        "variables.": (
            Rule(
                lists.VARIABLE_LINE_END,
                f"self.value == '' || !{holds('self.name', '(?i)^~?sip_')} || "
                f"(self.name.lowerAscii() in [{_BODIES}]) || "
                f"{whole('self.value', grammar.pattern(Grammar.TEXT))} || "
                f"!{whole('self.value', f'[^{grammar.NOT_XML}]*')}",
                ".value",
            ),
        ),
        "variables.name": (
            Rule(lists.VARIABLE_NAME_INVALID, whole("self", grammar.VARIABLE_NAME)),
            Rule(lists.VARIABLE_RESERVED, f"self.lowerAscii() != '{REVISION_VARIABLE}'"),
            Rule(
                lists.VARIABLE_HEADER_INVALID,
                f"!{whole('self', grammar.VARIABLE_NAME)} || "
                f"!{holds('self', f'^(?:{grammar.HEADER_VARIABLE})')} || {whole('self', grammar.HEADER_VARIABLE_GOOD)}",
            ),
        ),
        "variables.value": (
            Rule(lists.VARIABLE_EMPTY, "size(self) > 0"),
            Rule(lists.VARIABLE_ARRAY, "!self.startsWith('ARRAY::')"),
            Rule(lists.VARIABLE_CHARACTER, whole("self", f"[^{grammar.NOT_XML}]*")),
        ),
        "variables.direction": (Rule(structure.VARIABLE_DIRECTION, "self in ['inbound', 'outbound']"),),
        "subscriptions": (
            Rule(
                lists.SUBSCRIPTION_TWICE,
                "self.all(a, self.exists_one(b, a.event.lowerAscii() == b.event.lowerAscii()))",
            ),
        ),
        "subscriptions.event": (Rule(lists.SUBSCRIPTION_EVENT_INVALID, whole("self", grammar.EVENT)),),
        "subscriptions.expireSeconds": _seconds(lists_checks.SUBSCRIPTION_EXPIRE_MINIMUM, 3600),
        "subscriptions.retrySeconds": _seconds(lists_checks.SUBSCRIPTION_RETRY_MINIMUM, 30),
        "subscriptions.contentType": (Rule(lists.SUBSCRIPTION_TYPE_INVALID, whole("self", grammar.MEDIA_TYPE)),),
        "extraParams": (Rule(lists.EXTRA_PARAM_TWICE, "self.all(a, self.exists_one(b, a.name == b.name))"),),
        "extraParams.name": (
            Rule(lists.EXTRA_PARAM_MODELLED, f"!(self.lowerAscii() in [{_MODELLED}])"),
            Rule(lists.EXTRA_PARAM_NAME_INVALID, whole("self", grammar.PARAMETER_NAME)),
        ),
        "extraParams.value": (Rule(parameters.CONTROL_CHARACTER, f"!{_CONTROL}"),),
    }
)
