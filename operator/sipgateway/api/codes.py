"""Every code of a refusal or warning of this room: what it means, why it is one, what to do.

In: nothing. Out: `Code` values that make findings, and `CODES`, from which docs/codes.md is generated.
A code is part of the contract (conditions, lint output, CI filters): it is never renamed and never reused.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.errors import Finding, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One stable code.

    Attributes:
        name: CamelCase word, usable as a condition's reason.
        meaning: what was found, for docs/codes.md.
        why: what FreeSWITCH (or Kubernetes) would do with it, citing docs/switch-facts.md by number.
        action: what to do, an imperative sentence; the default of each finding.
        severity: error (refused) or warning.
    """

    name: str
    meaning: str
    why: str
    action: str
    severity: Severity = Severity.ERROR

    def finding(self, field: str, message: str, action: str | None = None) -> Finding:
        """A finding of this code.

        Args:
            field: path such as `spec.variables[0].name`.
            message: what is wrong here and what would happen. Never a secret value.
            action: what to do here; None takes the code's.
        """
        return Finding(self.name, field, message, self.action if action is None else action, self.severity)


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

# Other objects: what only a cluster (or the whole source folder) can tell.

SECRET_MISSING = Code(
    "SecretMissing",
    "The Secret that usernameFrom or passwordFrom names does not exist, or is not labelled as credentials.",
    "Without its value the gateway cannot register; only labelled Secrets can be seen.",
    'Create the Secret with the label `sipgateway.dev/credentials: "true"`.',
)
SECRET_NOT_LABELLED = Code(
    "SecretNotLabelled",
    'The Secret exists, but does not carry the label `sipgateway.dev/credentials: "true"`.',
    "Else whoever may create a SipGateway could send any Secret of the namespace to a registrar of his own.",
    "Label the Secret: `kubectl label secret NAME sipgateway.dev/credentials=true`.",
)
SECRET_KEY_MISSING = Code(
    "SecretKeyMissing",
    "The Secret has no such key.",
    "Without its value the gateway cannot register.",
    "Correct the key, or add it to the Secret.",
)
SECRET_NOT_TEXT = Code(
    "SecretNotText",
    "The value in the Secret is not UTF-8 text.",
    "It could not be written into XML, and SIP digests are computed over text.",
    "Store the value as UTF-8 text.",
)
GATEWAY_NAME_TAKEN = Code(
    "GatewayNameTaken",
    "An older SipGateway has the same gateway name on the same switch.",
    "Names are global to the switch, whatever the profile: the second would be a ghost that registers once more with "
    "each rescan and that no command reaches (fact 11).",
    "Choose another gatewayName, or delete or suspend the other SipGateway: this one then takes over.",
)


#: All codes of this room, in the order of docs/codes.md.
CODES: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
