"""Every code of this room's errors: arguments, and the files that commands read and write besides manifests.

In: nothing. Out: `Code` values that make findings, and `CODES`, which docs/codes.md lists.
A code is part of the contract (exit codes, JSON logs): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code
from sipgateway.errors import Severity

WRONG_ARGUMENT = Code(
    "WrongArgument",
    "An argument is not what the command takes.",
    "The command did nothing (exit code 2).",
    "See --help.",
)
KEY_FILE = Code(
    "KeyFile",
    "The file given as the key of the revisions is none.",
    "A revision made with another key is not the one that a switch has loaded.",
    "Give the .sipgw/revision.key of a conf folder.",
)
VARIABLES_FILE = Code(
    "VariablesFile",
    "The file of global variables cannot be read.",
    "Without them a gateway's values would be empty.",
    "Check --var-file.",
)
NOT_WRITTEN = Code(
    "NotWritten",
    "A file cannot be written.",
    "The disk is full, the folder may not be written to, or a link stands where the file should be (exit code 5).",
    "Check --output-dir.",
)
FILE_EXISTS = Code(
    "FileExists",
    "A file that would be written exists and differs.",
    "It may have been edited since the last import.",
    "Choose an empty folder, or add --force.",
)
PASSWORD_FILE = Code(
    "PasswordFile",
    "The file with the event socket's password cannot be read, or does not hold one line.",
    "Passwords are not taken as arguments, which every user of the machine can see.",
    "Check --esl-password-file.",
)
NO_SOURCE = Code(
    "NoSource",
    "The source of the manifests does not exist.",
    "Nothing is to be concluded from it; nothing was changed on the switch.",
    "Check --source.",
)
NO_EXAMPLES = Code(
    "NoExamples",
    "The example manifests are not installed, or none fits the demo.",
    "The demo runs on them.",
    "Install the package anew.",
)
CRD_MISSING = Code(
    "CrdMissing",
    "A CustomResourceDefinition of sipgateway is not installed, or does not serve this release's version.",
    "Nothing can be declared or reported.",
    "Install the CRDs of this release: `kubectl apply -k manifests/install`, or upgrade the chart with its CRDs.",
)
CRD_OLD_VERSION = Code(
    "CrdOldVersion",
    "Objects of a CustomResourceDefinition may still be stored in a version that this release does not have.",
    "A later release that drops that version could not read them.",
    "Write each object anew, then remove the version from the definition's status.storedVersions.",
    Severity.WARNING,
)
POLICY_MISSING = Code(
    "PolicyMissing",
    "An admission policy of sipgateway is not installed, or nothing binds it with Deny.",
    "Whoever may edit ConfigMaps or SipSwitches is not held back, and the operator's right on Secrets is not narrowed.",
    "Install the policies of this release: `policies.create` in the chart, or `kubectl apply -k manifests/install`.",
)
OPERATOR_RIGHT_MISSING = Code(
    "OperatorRightMissing",
    "The operator lacks a right that it needs.",
    "What it cannot read it does not act on, and what it cannot write does not reach the switches.",
    "Install the Role and its RoleBinding in that namespace: `namespaces` in the chart's values.",
)
LEASE_NOT_HELD = Code(
    "LeaseNotHeld",
    "No replica of the operator holds the Lease, or none renews it.",
    "Changes have no effect, and statuses are old; trunks stay as they are.",
    "Look at the operator's pods: `kubectl -n NAMESPACE get pods`, and at their log.",
)
SWITCH_POD_TROUBLE = Code(
    "SwitchPodTrouble",
    "A switch pod does not run, has no agent, or its agent is silent or does not reach the switch.",
    "Nothing is known of that switch, and changes do not reach it.",
    "See docs/conditions.md under the reason that the message names.",
)
SOCKET_UNSAFE = Code(
    "SocketUnsafe",
    "The agent reaches its switch and has something against how it does: the event socket has FreeSWITCH's password.",
    "Whoever reaches the socket can do anything to the switch.",
    "Change the password in event_socket.conf.xml and in the pod's Secret of the event socket.",
    Severity.WARNING,
)
FLEET_WITHOUT_PODS = Code(
    "FleetWithoutPods",
    "SipGateways name a switch of which there is no pod.",
    "Their trunks are nowhere.",
    "Correct spec.switch, or label the switch pods with sipgateway.dev/switch.",
)
PODS_WITHOUT_GATEWAYS = Code(
    "PodsWithoutGateways",
    "Switch pods carry the name of a switch that no SipGateway names.",
    "They load nothing.",
    "Correct the pods' label sipgateway.dev/switch, or spec.switch of the SipGateways.",
    Severity.WARNING,
)
KEYS_UNLABELLED = Code(
    "KeysUnlabelled",
    "The Secret with a fleet's keys lacks its label.",
    "It is found by name alone, and a backup by label misses it.",
    "Label it as the message says.",
    Severity.WARNING,
)
KEYS_NOT_THOSE = Code(
    "KeysNotThose",
    "ConfigMaps of a fleet need a seal key that the Secret with the fleet's keys does not hold.",
    "The agents cannot open the passwords in them.",
    "Restore the Secret from a backup, or see docs/security.md on starting over.",
)
INCLUDE_LINE_MISSING = Code(
    "IncludeLineMissing",
    "A switch loaded none of our gateways of a profile, though it read its configuration.",
    "Its profile does not include the folder that the agent writes to.",
    "Add the one include line to the profile: docs/wiring.md.",
)
TLS_PROFILE = Code(
    "TlsProfile",
    "A gateway that asks for TLS was not loaded.",
    "A profile without TLS drops such a gateway without a word (fact 13).",
    "Set `tls` to true in the profile, with its certificates, and restart the profile; or choose another transport.",
)
GATEWAY_NOT_LOADED = Code(
    "NotLoadedInPod",
    "A switch has not loaded a gateway as it should be.",
    "It takes no calls in that version.",
    "See the message, and `sipgw trace NAME`.",
)
CLOCK_SKEW = Code(
    "ClockSkew",
    "Two clocks are apart.",
    "Tokens and certificates are refused when clocks are minutes apart, and times in logs do not fit.",
    "Let both machines take their time from NTP.",
    Severity.WARNING,
)
CANNOT_CHECK = Code(
    "CannotCheck",
    "A check could not be made, because the API server refuses what it reads or does not answer.",
    "Nothing is known of it, neither good nor bad.",
    "Ask with an account that has the right that the message names.",
    Severity.WARNING,
)

#: All codes of this room, in the order of docs/codes.md.
CODES: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
