"""Codes of other objects: Secrets and what stands in them, and other SipGateways."""

from __future__ import annotations

from sipgateway.api.codes.code import Code
from sipgateway.errors import Severity

# Values of Secrets.

SECRET_EMPTY = Code(
    "SecretEmpty",
    "The value in the Secret is empty.",
    "A registering gateway with an empty user name or password is dropped, and the switch answers +OK (fact 13).",
    "Store the value in the Secret.",
)
SECRET_LINE_END = Code(
    "SecretLineEnd",
    "The value in the Secret ends with a line end.",
    "It would count as part of the value: the digest is wrong and the carrier answers 403. `echo` and most editors put "
    "one there, and `kubectl create secret --from-file` keeps it.",
    "Store it without: `printf %s VALUE > FILE` instead of `echo VALUE > FILE`, or `--from-literal=KEY=VALUE`.",
)
SECRET_BLANKS = Code(
    "SecretBlanks",
    "The value in the Secret begins or ends with blanks.",
    "They count as part of the value.",
    "Store the value without them, unless the carrier gave it so.",
    Severity.WARNING,
)
SECRET_CHARACTER = Code(
    "SecretCharacter",
    "The value in the Secret holds a character that does not reach the carrier.",
    "sofia-sip divides its credentials at `:`, so a password is cut off there; control characters have no place in a "
    "user name or password.",
    "Ask the carrier for credentials without the character.",
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
