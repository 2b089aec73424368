"""The fields of `spec` that are not parameters of mod_sofia: what they are, for the CRD's schema and the reference.

In: nothing. Out: one `Field` per field, with its path as `kubectl explain sipgateway.spec.PATH` takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sipgateway.api import limits
from sipgateway.api.names import (
    DEFAULT_PROFILE,
    DEFAULT_SWITCH,
    LABEL_CREDENTIALS,
    LABEL_SWITCH,
    MAX_GATEWAY_NAME,
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field beside the parameter table.

    Attributes:
        path: dotted, below `spec`; `[]` is not written.
        type: as the reference shows it.
        doc: what it does.
        bad: what happens with bad values.
        default: the schema's default as text, empty when there is none.
        default_doc: what holds when it is not set.
        maximum: characters of a text or entries of a list, None for the rest.
        example: a value as YAML.
    """

    path: str
    type: str
    doc: str
    bad: str = ""
    default: str = ""
    default_doc: str = ""
    maximum: int | None = None
    example: str = ""


FIELDS: tuple[Field, ...] = (
    Field(
        "switch",
        "text",
        "Which fleet of switches loads the gateway: the pods of this namespace that are labelled "
        f"{LABEL_SWITCH} with this value. They all get the same gateways.",
        "It is part of the names of other objects: lower-case letters, digits and - only.",
        default=DEFAULT_SWITCH,
        maximum=limits.MAX_SWITCH,
        example="frankfurt",
    ),
    Field(
        "profile",
        "text",
        "Sofia profile that loads the gateway and is rescanned for it.",
        "A profile that the switch does not have answers Invalid Profile (fact 24d).",
        default=DEFAULT_PROFILE,
        maximum=limits.MAX_PROFILE,
        example="external",
    ),
    Field(
        "gatewayName",
        "text",
        "The gateway's name on the switch, as dial strings have it: sofia/gateway/NAME/NUMBER.",
        "Names are global to the switch (fact 11); other characters than letters, digits, _ . and - are dropped with "
        "+OK; all and _all_ would act on every gateway (fact 32).",
        default_doc="metadata.name",
        maximum=MAX_GATEWAY_NAME,
        example="acme_main",
    ),
    Field(
        "placement",
        "text",
        "On which pods of the fleet the gateway is loaded. All is the only word so far.",
        default="All",
        default_doc="All",
        example="All",
    ),
    Field(
        "directory",
        "object",
        "Puts the gateway into the directory section, under a user, instead of the profile's configuration. The "
        "profile must have a domain with parse=true (fact 25).",
        default_doc="the gateway stands in the profile's configuration",
    ),
    Field(
        "directory.domain",
        "text",
        "Domain of the directory user.",
        "It is part of a path: a host name or an IPv4 address.",
        maximum=limits.MAX_DIRECTORY_DOMAIN,
        example="pbx.example.com",
    ),
    Field(
        "directory.user",
        "text",
        "Id of the directory user.",
        "It is part of a path: letters, digits and _ + . - only.",
        maximum=limits.MAX_DIRECTORY_USER,
        example="1000",
    ),
    Field(
        "suspend",
        "boolean",
        "Takes the gateway off the switches, and gives its name free for another, without deleting the SipGateway.",
        default="false",
        example="true",
    ),
    Field(
        "usernameFrom",
        "object",
        "Takes username from a Secret of the same namespace.",
        "With username given too it is refused.",
    ),
    Field(
        "passwordFrom",
        "object",
        "Takes the digest password from a Secret of the same namespace. There is no field for a literal password.",
        "Without it a registering gateway is refused: mod_sofia would drop it, and the switch answers +OK (fact 13). A "
        "value that ends with a line end is refused: the carrier would answer 403.",
        default_doc="empty",
    ),
    Field(
        "secretKeyRef",
        "object",
        f'One key of a Secret that is labelled {LABEL_CREDENTIALS}: "true".',
        "Other Secrets are not read: else whoever may create a SipGateway could send any Secret to a registrar of his. "
        f"kubectl label secret NAME {LABEL_CREDENTIALS}=true makes one usable.",
    ),
    Field(
        "secretKeyRef.name",
        "text",
        "Name of the Secret, in the namespace of the SipGateway.",
        maximum=limits.MAX_SECRET_NAME,
        example="acme-credentials",
    ),
    Field(
        "secretKeyRef.key",
        "text",
        "Key in the Secret whose value is taken, byte for byte.",
        maximum=limits.MAX_SECRET_KEY,
        example="password",
    ),
    Field(
        "variables",
        "list",
        "Channel variables that are set on each call through the gateway, in this order. They are plain values that "
        "anybody on the call path can read, and can show in CDRs (fact 41).",
        "Two of one name, in any case, on the same leg are refused.",
        maximum=limits.MAX_VARIABLES,
    ),
    Field(
        "variables.name",
        "text",
        "Name of the channel variable; sip_h_X-Name sets a header of outbound calls.",
        "Blanks and [ break it (fact 33); sipgw_revision is this product's own.",
        maximum=limits.MAX_VARIABLE_NAME,
        example="absolute_codec_string",
    ),
    Field(
        "variables.value",
        "text",
        "Value of the channel variable. It arrives byte for byte.",
        "An empty one removes the variable, one that begins with ARRAY:: is altered (fact 33).",
        maximum=limits.MAX_VARIABLE_VALUE,
        example="PCMA,PCMU",
    ),
    Field(
        "variables.direction",
        "text",
        "inbound or outbound sets the variable on calls of that direction only.",
        "Any other word, both included, sets it on neither, silently (fact 26).",
        default_doc="both directions",
        example="outbound",
    ),
    Field(
        "subscriptions",
        "list",
        "SUBSCRIBEs that the gateway keeps up, one for each event.",
        "Two of one event are refused: mod_sofia gives every NOTIFY to the one that it finds first.",
        maximum=limits.MAX_SUBSCRIPTIONS,
    ),
    Field(
        "subscriptions.event",
        "text",
        "Event package, such as message-summary.",
        "It goes into the Event header as it is.",
        maximum=limits.MAX_EVENT,
        example="message-summary",
    ),
    Field(
        "subscriptions.expireSeconds",
        "integer",
        "Lifetime asked for, in seconds.",
        "Below 5 it is silently replaced by 3600.",
        default_doc="3600",
        example="600",
    ),
    Field(
        "subscriptions.retrySeconds",
        "integer",
        "Wait after a failed SUBSCRIBE, in seconds.",
        "Below 10 it is silently replaced by 30.",
        default_doc="30",
        example="60",
    ),
    Field(
        "subscriptions.contentType",
        "text",
        "Media type for the Accept header.",
        "It goes into the Accept header as it is.",
        default_doc="no Accept header",
        maximum=limits.MAX_CONTENT_TYPE,
        example="application/simple-message-summary",
    ),
    Field(
        "subscriptions.usernameInRequest",
        "boolean",
        "Puts the username into the request URI of SUBSCRIBE.",
        default_doc="false",
        example="true",
    ),
    Field(
        "extraParams",
        "list",
        "Parameters outside this table, for modified switches, by their XML names.",
        "FreeSWITCH ignores a parameter that it does not know without a word; one that has a field here is refused.",
        maximum=limits.MAX_EXTRA_PARAMS,
    ),
    Field(
        "extraParams.name",
        "text",
        "Name of the parameter as the switch's XML has it.",
        "One that has a field here is refused, in any case.",
        maximum=limits.MAX_EXTRA_NAME,
        example="x-carrier-mode",
    ),
    Field(
        "extraParams.value",
        "text",
        "Value of the parameter, written as it is.",
        "Nothing checks it but for control characters.",
        maximum=limits.MAX_EXTRA_VALUE,
        example="strict",
    ),
)

BY_PATH: Mapping[str, Field] = MappingProxyType({field.path: field for field in FIELDS})
