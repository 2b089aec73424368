"""Codes of structure and names: what the object is, and what stands in commands, labels and paths."""

from __future__ import annotations

from sipgateway.api.codes.code import Code

# Structure: what the CRD's schema refuses at `kubectl apply`, and the parser everywhere else.

WRONG_API_VERSION = Code(
    "WrongApiVersion",
    "The object is of another API version or kind.",
    "Only `sipgateway.dev/v1alpha1` SipGateways are understood; guessing at another version could drop fields.",
    "Set apiVersion and kind to those of a SipGateway.",
)
UNKNOWN_FIELD = Code(
    "UnknownField",
    "The manifest has a field that does not exist.",
    "FreeSWITCH ignores a parameter that it does not know without a word, and the API server prunes an unknown "
    "field: a typo would silently leave the default in force.",
    "Correct the field's name or remove it; parameters outside the table go into extraParams.",
)
MISSING_FIELD = Code(
    "MissingField",
    "A required field is not there.",
    "Without it the object cannot be understood.",
    "Add the field.",
)
WRONG_TYPE = Code(
    "WrongType",
    "A value is of another type than the field's.",
    "YAML turns unquoted words and numbers into other types; FreeSWITCH would read a word in place of a number as 0 "
    "and any word that it does not know as false.",
    "Write the value in the field's type.",
)
TOO_LONG = Code(
    "TooLong",
    "A text is longer than the field allows.",
    "Every text has an upper bound, so that one gateway stays one small object.",
    "Shorten the text.",
)
TOO_MANY = Code(
    "TooMany",
    "A list has more entries than the field allows.",
    "Every list has an upper bound, so that one gateway stays one small object.",
    "Remove entries.",
)
LITERAL_PASSWORD = Code(
    "LiteralPassword",
    "A password stands in the manifest.",
    "Manifests are kept in git and shown by kubectl; a password comes from a Secret only.",
    "Put the password into a Secret, refer to it by passwordFrom.secretKeyRef, and change it: it has been seen.",
)
VARIABLE_DIRECTION = Code(
    "VariableDirection",
    "A variable's direction is another word than inbound or outbound.",
    "mod_sofia sets a variable with any other direction, `both` included, on neither leg, silently (fact 26).",
    "Write inbound or outbound, or remove direction to set the variable on both legs.",
)
PLACEMENT_UNKNOWN = Code(
    "PlacementUnknown",
    "placement is another word than All.",
    "Every switch of the fleet loads every gateway; no other placement exists yet.",
    "Write All or remove the field.",
)

# Names: who the object is, and what stands in commands, labels and paths.

OBJECT_NAME_INVALID = Code(
    "ObjectNameInvalid",
    "metadata.name or metadata.namespace is not what Kubernetes allows, or is too long.",
    "The ConfigMap of a SipGateway is called `sipgateway-NAME`, and Kubernetes stops at 253 characters.",
    "Use lower-case letters, digits, `-` and `.`, at most 242 characters.",
)
GATEWAY_NAME_INVALID = Code(
    "GatewayNameInvalid",
    "The gateway name is empty or has other characters than letters, digits, `_`, `.` and `-`.",
    "mod_sofia drops a gateway of any other name, and the switch answers +OK (fact 11).",
    "Set spec.gatewayName to letters, digits, `_`, `.` and `-`.",
)
GATEWAY_NAME_RESERVED = Code(
    "GatewayNameReserved",
    "The gateway name is `all` or `_all_`, in any case.",
    "It loads, but `killgw` and `register` with it act on every gateway of the switch (fact 32).",
    "Set spec.gatewayName to another name.",
)
SWITCH_NAME_INVALID = Code(
    "SwitchNameInvalid",
    "spec.switch is not a DNS label.",
    "It is the value of the label `sipgateway.dev/switch` on the switch's pods and part of the names of other objects.",
    "Use lower-case letters, digits and `-`, at most 63 characters.",
)
PROFILE_NAME_INVALID = Code(
    "ProfileNameInvalid",
    "spec.profile cannot stand in a command or in a path.",
    "Commands to the switch are words divided by blanks, and the profile's folder has its name.",
    "Write the Sofia profile's name as the switch's configuration has it: letters, digits, `_`, `.` and `-`.",
)
DIRECTORY_INVALID = Code(
    "DirectoryInvalid",
    "The directory's domain or user cannot stand in the directory or in a path.",
    "The gateway is loaded from the user's entry in the directory (fact 25), in a file below the domain's folder.",
    "Write the domain as a host name or IPv4 address, the user in letters, digits and `_ + . -`.",
)
SECRET_REFERENCE_INVALID = Code(
    "SecretReferenceInvalid",
    "The name or key of a secretKeyRef is not one that a Secret can have.",
    "No Secret of that name, or key in it, can exist.",
    "Correct the name of the Secret or of the key in it.",
)
