"""Codes of variables, subscriptions and extra parameters."""

from __future__ import annotations

from sipgateway.api.codes.code import Code
from sipgateway.errors import Severity

# Lists: variables, subscriptions, extra parameters.

VARIABLE_NAME_INVALID = Code(
    "VariableNameInvalid",
    "A variable's name is empty, or has a blank, `[` or a character outside printable ASCII.",
    "FreeSWITCH reads `[` as the index of an array, and blanks break the read-back (fact 33).",
    "Use letters, digits, `_` and `-`.",
)
VARIABLE_RESERVED = Code(
    "VariableReserved",
    "A variable is called sipgw_revision, in any case.",
    "That variable carries the revision by which the loaded gateway is proved; read-back ignores the case of names and "
    "takes the first (fact 33).",
    "Choose another name.",
)
VARIABLE_EMPTY = Code(
    "VariableEmpty",
    "A variable's value is empty.",
    "FreeSWITCH does not set it, but removes the variable and earlier ones of that name (fact 33).",
    "Give a value, or remove the variable.",
)
VARIABLE_ARRAY = Code(
    "VariableArray",
    "A variable's value begins with `ARRAY::`.",
    "FreeSWITCH takes it apart and puts it together otherwise (fact 33).",
    "Write another value; no such value arrives as it is.",
)
VARIABLE_CHARACTER = Code(
    "VariableCharacter",
    "A variable's value holds a character that XML cannot carry.",
    "The switch's XML parser would refuse the file, which blocks every other gateway (fact 3).",
    "Remove the character.",
)
VARIABLE_LINE_END = Code(
    "VariableLineEnd",
    "The value of a `sip_` variable holds a control character or a line end.",
    "mod_sofia writes such variables (sip_h_X-Name and others) into SIP messages as they are: a line end starts a "
    "header of its own.",
    "Write the value on one line.",
)
VARIABLE_HEADER_INVALID = Code(
    "VariableHeaderInvalid",
    "The variable sets a SIP header whose name is not a SIP token.",
    "mod_sofia writes what stands behind `sip_h_` (and its kin) as the header's name, as it is.",
    "Use letters, digits and `-` in the header's name.",
)
VARIABLE_TWICE = Code(
    "VariableTwice",
    "Two variables of one name are set on the same leg.",
    "FreeSWITCH ignores the case of names: the last one wins on the call, while read-back shows the first (fact 33).",
    "Remove one of them, or give them different directions.",
)
VARIABLE_EXPANSION = Code(
    "VariableExpansion",
    "A variable's value has `${`.",
    "It is loaded as it is; but by its source FreeSWITCH does not set a value with `${` on a channel, and logs "
    "`Invalid data (${name} contains a variable)`.",
    "Set the variable in the dialplan, where it is expanded.",
    Severity.WARNING,
)
SUBSCRIPTION_EVENT_INVALID = Code(
    "SubscriptionEventInvalid",
    "A subscription's event is not an event type (RFC 6665, section 8.4).",
    "It goes into the Event header as it is, and mod_sofia finds the subscription of a NOTIFY by this word.",
    "Write the event package alone, such as message-summary.",
)
SUBSCRIPTION_TYPE_INVALID = Code(
    "SubscriptionTypeInvalid",
    "A subscription's content type is not type/subtype.",
    "It goes into the Accept header as it is.",
    "Write a media type such as application/simple-message-summary, or remove the field.",
)
SUBSCRIPTION_TWICE = Code(
    "SubscriptionTwice",
    "Two subscriptions have the same event.",
    "mod_sofia sends both, and gives every NOTIFY to the one that it finds first.",
    "Remove one of them.",
)
EXTRA_PARAM_MODELLED = Code(
    "ExtraParamModelled",
    "extraParams names a parameter that has a field of its own.",
    "It would escape the checks, and of two equal parameters the last wins silently.",
    "Use the field.",
)
EXTRA_PARAM_NAME_INVALID = Code(
    "ExtraParamNameInvalid",
    "The name of an extra parameter has other characters than letters, digits, `_`, `.` and `-`.",
    "mod_sofia has no parameter of such a name and would ignore it without a word.",
    "Correct the name.",
)
EXTRA_PARAM_TWICE = Code(
    "ExtraParamTwice",
    "extraParams has the same name twice.",
    "Of two equal parameters the last wins silently.",
    "Remove one of them.",
)
CID_TYPE_IGNORED = Code(
    "CidTypeIgnored",
    "extraParams has cid-type.",
    "It stands in FreeSWITCH's sample configuration, but nothing reads it.",
    "Remove it; an outbound variable sip_cid_type does what it promises.",
    Severity.WARNING,
)
