"""The one table of reasons that a condition of a SipGateway may have, from which docs/conditions.md is made.

In: nothing. Out: `Reason` rows. A word is part of the contract (alerts, gates, scripts): it is never renamed and never
reused. `Accepted=False` takes its reason from the codes of docs/codes.md instead.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sipgateway.api.names import AGENT_CONTAINER, LABEL_SWITCH


class ConditionType(enum.StrEnum):
    """Which question a condition answers, in the order in which they stand in a status."""

    ACCEPTED = "Accepted"
    PROGRAMMED = "Programmed"
    REGISTERED = "Registered"
    READY = "Ready"
    STALLED = "Stalled"


class Status(enum.StrEnum):
    """The answer. Silence is never `True`: what nobody said is `Unknown`."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Reason:
    """One row of the table. Rows are compared by identity: each word has one.

    Attributes:
        word: what stands in the condition.
        types: condition types that it may stand with; `Ready` repeats the worst reason of the others.
        status: what a condition with this reason says.
        meaning: what is the case.
        see: how to see it, a command where there is one.
        action: what to do; stands in the messages.
        stalled: more tries end the same way until a person changes something, so `Stalled` is True as well.
    """

    word: str
    types: tuple[ConditionType, ...]
    status: Status
    meaning: str
    see: str
    action: str
    stalled: bool = False


_P = (ConditionType.PROGRAMMED, ConditionType.READY)
_R = (ConditionType.REGISTERED, ConditionType.READY)
_PR = (ConditionType.PROGRAMMED, ConditionType.REGISTERED, ConditionType.READY)

_SEE_SWITCH = "`kubectl get sipswitch POD -o yaml` shows what the agent of that pod reports."
_SEE_GATEWAY = "`fs_cli -x 'sofia status gateway NAME'` in the switch's container."
_SEE_LOG = f"`kubectl logs POD -c {AGENT_CONTAINER}`."
_SEE_PODS = f"`kubectl get pods -l {LABEL_SWITCH}=NAME`."

# As they should be.

ACCEPTED = Reason(
    "Accepted",
    (ConditionType.ACCEPTED,),
    Status.TRUE,
    "The manifest is sound, and the Secrets and the gateway name that it asks for are its own.",
    "`kubectl describe sipgateway NAME`.",
    "Nothing; the message names warnings if there are any.",
)
PROGRAMMED = Reason(
    "Programmed",
    (ConditionType.PROGRAMMED,),
    Status.TRUE,
    "This version was read back from the switches: it is what they have loaded.",
    _SEE_SWITCH,
    "Nothing.",
)
REGISTERED = Reason(
    "Registered",
    (ConditionType.REGISTERED,),
    Status.TRUE,
    "The registrar answered the last REGISTER of each switch with 200.",
    _SEE_GATEWAY,
    "Nothing.",
)
READY = Reason(
    "Ready",
    (ConditionType.READY,),
    Status.TRUE,
    "It is accepted, loaded, and registered unless `register` is false.",
    "`kubectl wait --for=condition=Ready sipgateway/NAME`.",
    "Nothing.",
)

# On purpose.

NOT_REGISTERING = Reason(
    "NotRegistering",
    (ConditionType.REGISTERED,),
    Status.FALSE,
    "`register` is false, so the gateway does not register. Ready does not ask for it.",
    "The printer column REGISTERED shows a dash.",
    "Nothing; set `register: true` if it shall register.",
)
SUSPENDED = Reason(
    "Suspended",
    _PR,
    Status.FALSE,
    "`suspend` is true, so the gateway is taken off the switches.",
    "`kubectl get sipgateway NAME -o jsonpath='{.spec.suspend}'`.",
    "Set spec.suspend to false to load it again.",
)

# Wrong, until a person changes something: Stalled. The worst first, as in the rest of the table.

CREDENTIALS_REFUSED = Reason(
    "CredentialsRefused",
    _R,
    Status.FALSE,
    "The registrar answered REGISTER with 401, 403 or 407, or the switch gave up on its credentials (904).",
    f"The message has the registrar's words; {_SEE_GATEWAY}",
    "Check username, authUsername, realm and the password with the carrier; when the Secret or the manifest is "
    "mended, it registers by itself.",
    stalled=True,
)
CHALLENGE_FROM_UNKNOWN_ADDRESS = Reason(
    "ChallengeFromUnknownAddress",
    _R,
    Status.FALSE,
    "The challenge to REGISTER came from an address that is none of proxy, registerProxy and outboundProxy, so the "
    "switch does not answer it and stays in TRYING for ever (fact 35).",
    f"{_SEE_GATEWAY} It shows TRYING; the switch's log names the address.",
    "Name the address that challenges in proxy, registerProxy or outboundProxy, with its port, or allow it with "
    "gwAuthAcl.",
    stalled=True,
)
NAME_TAKEN_ON_SWITCH = Reason(
    "NameTakenOnSwitch",
    _P,
    Status.FALSE,
    "The switch has a gateway of this name that sipgateway did not load; a second one would be a ghost (fact 11).",
    "`fs_cli -x 'sofia status'` shows its profile.",
    "Remove its definition from the switch's own XML, or choose another gatewayName.",
    stalled=True,
)
OTHER_VERSION_LOADED = Reason(
    "OtherVersionLoaded",
    _P,
    Status.FALSE,
    "The switch loaded another definition of this gateway than the one in our file.",
    "`fs_cli -x 'sofia_gateway_data NAME ovar sipgw_revision'` shows what is loaded.",
    "Look for a second definition of this gateway in the switch's own XML and remove it.",
    stalled=True,
)
NEW_VERSION_REFUSED = Reason(
    "NewVersionRefused",
    _P,
    Status.FALSE,
    "The switch read the new version and did not load it, so the version before it was put back and goes on serving.",
    f"The message has what the agent found; the switch's log names a gateway that it drops. {_SEE_LOG}",
    "Change the gateway, or make the switch able to take it (for tls the profile needs TLS). It is tried again when "
    "the gateway changes, when its profile or the switch starts anew, and by itself after ten minutes, then more "
    "rarely, because each try takes the working trunk down.",
    stalled=True,
)
FILE_BREAKS_SWITCH = Reason(
    "FileBreaksSwitch",
    _P,
    Status.FALSE,
    "The switch cannot read its configuration with the file of this version in it, so the file was taken away: "
    "everything else loads, and what the switch had of this gateway stays, or the version before is put back.",
    f"The message has the switch's words; {_SEE_LOG}",
    "Change the gateway, and report it: each file is read by a model of the switch's reader before, so this is a "
    "defect of sipgateway. Switches that differ in their FreeSWITCH version may differ in it.",
    stalled=True,
)
GHOST = Reason(
    "Ghost",
    _P,
    Status.FALSE,
    "The switch holds several copies of this gateway; each registers, and no command reaches all of them (fact 11).",
    "`fs_cli -x 'sofia status'` shows it more than once.",
    "Remove the second definition from the switch's XML, then restart the profile in a quiet hour: "
    "`sofia profile PROFILE restart`.",
    stalled=True,
)

# Wrong, and being tried again.

HELD_LAST_GOOD = Reason(
    "HeldLastGood",
    _P,
    Status.FALSE,
    "This version is refused; an earlier accepted version stays on the switches and goes on serving.",
    "`kubectl describe sipgateway NAME`: Accepted says why.",
    "Mend what Accepted names.",
    stalled=True,
)
NOT_ACCEPTED = Reason(
    "NotAccepted",
    (ConditionType.PROGRAMMED, ConditionType.REGISTERED),
    Status.FALSE,
    "The manifest is refused and no earlier version of it was accepted, so no switch has it.",
    "`kubectl describe sipgateway NAME`: Accepted says why.",
    "Mend what Accepted names.",
    stalled=True,
)
CONFIG_MAP_NOT_WRITTEN = Reason(
    "ConfigMapNotWritten",
    _P,
    Status.FALSE,
    "The operator could not write the ConfigMap that carries this version to the switches.",
    "The message has the API server's words; the operator's log has more.",
    "It is tried again by itself; if it stays so, look at quotas, admission webhooks and the operator's rights.",
)
SWITCH_CONFIG_BROKEN = Reason(
    "SwitchConfigBroken",
    _P,
    Status.FALSE,
    "The switch cannot read its own configuration, so it loads nothing new from any file (facts 2, 3).",
    "`fs_cli -x reloadxml` answers with the line, counted in freeswitch.xml.fsxml in the switch's log folder.",
    "Mend that file of the switch's own XML; it is tried again by itself.",
)
PROFILE_NOT_RUNNING = Reason(
    "ProfileNotRunning",
    _P,
    Status.FALSE,
    "The switch has no running profile of that name, or it is restarting (fact 30).",
    "`fs_cli -x 'sofia status'`.",
    "Check spec.profile, or start the profile; it is tried again by itself.",
)
NOT_LOADED = Reason(
    "NotLoaded",
    _P,
    Status.FALSE,
    "The switch read its configuration, but did not load the gateway.",
    "The switch's log names a gateway that it drops.",
    "Check that the profile includes our folder (docs/wiring.md) and, for tls, that the profile has TLS.",
)
STILL_LOADED = Reason(
    "StillLoaded",
    _P,
    Status.FALSE,
    "The gateway was removed, and a copy of it is still found.",
    "`fs_cli -x 'sofia status'`.",
    "Look for a second copy (a ghost, fact 11); only a restart of the profile clears it.",
)
CONFIG_MAP_REFUSED = Reason(
    "ConfigMapRefused",
    _P,
    Status.FALSE,
    "The agent does not take the ConfigMap: it was not made, or not as it is, with the fleet's keys.",
    f"{_SEE_SWITCH} Its status.sealKeys lists the keys that the agent has.",
    "The operator puts an edited ConfigMap back by itself; if it stays so, compare the keys in "
    "status.sealKeys of the SipSwitch with those in the Secret sipgateway-SWITCH-keys.",
)
DISK_FULL = Reason(
    "DiskFull",
    _P,
    Status.FALSE,
    "The gateway's file cannot be written: the volume of the switch's configuration is full.",
    f"`kubectl exec POD -c {AGENT_CONTAINER} -- df`.",
    "Make room; it is tried again by itself, and what was there before is untouched.",
)
FILE_ACCESS = Reason(
    "FileAccess",
    _P,
    Status.FALSE,
    "The gateway's file cannot be written.",
    _SEE_SWITCH,
    "Check the volume of the switch's configuration and fsGroup; it is tried again by itself.",
)
FOLDER_IS_LINK = Reason(
    "FolderIsLink",
    _P,
    Status.FALSE,
    "The gateway's file is not written: a folder on its way is a link, and what that points to is not ours.",
    "The message names the link.",
    "Give the agent the real folder with --conf, --profile-path or --directory-path; it is tried again by itself.",
)
REFUSED = Reason(
    "Refused",
    _R,
    Status.FALSE,
    "The registrar refuses REGISTER, for another reason than the credentials.",
    f"The message has the registrar's words; {_SEE_GATEWAY}",
    "Ask the carrier why it refuses this REGISTER; it is tried again by itself.",
)
DNS_FAILED = Reason(
    "DnsFailed",
    _R,
    Status.FALSE,
    "The switch's own resolver does not know the registrar's name (fact 36).",
    "`nslookup HOST` in the switch's container.",
    "Check proxy, registerProxy and DNS; it is tried again by itself.",
)
REGISTRAR_UNREACHABLE = Reason(
    "RegistrarUnreachable",
    _R,
    Status.FALSE,
    "No answer from the registrar: 408, 503, or none at all.",
    _SEE_GATEWAY,
    "Check proxy, registerProxy, registerTransport and firewalls; it is tried again by itself.",
)
DOWN = Reason(
    "Down",
    _R,
    Status.FALSE,
    "The switch holds the gateway down, by unanswered pings or by hand.",
    _SEE_GATEWAY,
    "Look at ping and pingMax, and at the carrier's answers to OPTIONS; it is tried again by itself.",
)
PROBLEM_ON_SWITCH = Reason(
    "ProblemOnSwitch",
    _PR,
    Status.FALSE,
    "The agent reports a problem by a word that this operator does not know; the message has it.",
    _SEE_SWITCH,
    "If the agents are newer than the operator, bring it to their version.",
)

# Not known: nobody says so, or nobody who could.

SWITCH_UNREACHABLE = Reason(
    "SwitchUnreachable",
    _PR,
    Status.UNKNOWN,
    "The agent does not reach its switch over ESL, so nothing can be proved there.",
    f"The message has the reason; {_SEE_SWITCH}",
    "Check that FreeSWITCH runs in that pod, and its event_socket.conf.xml.",
)
AGENT_SILENT = Reason(
    "AgentSilent",
    _PR,
    Status.UNKNOWN,
    "The agent of a pod has said nothing for 90 seconds, or never; what its switch does is not known.",
    f"`kubectl get sipswitches` shows when each was last heard; {_SEE_LOG}",
    "Look at the agent's log and its way to the API server.",
)
POD_NOT_RUNNING = Reason(
    "PodNotRunning",
    _PR,
    Status.UNKNOWN,
    "A pod of the fleet does not run, and is older than the 120 seconds in which a new pod may start.",
    "`kubectl describe pod POD`.",
    "Look at the pod's events.",
)
POD_WITHOUT_AGENT = Reason(
    "PodWithoutAgent",
    _PR,
    Status.UNKNOWN,
    f"A pod carries the label {LABEL_SWITCH}, but has no container {AGENT_CONTAINER}.",
    "`kubectl get pod POD -o jsonpath='{.spec.initContainers[*].name} {.spec.containers[*].name}'`.",
    "Add the agent to the workload of that pod, as a native sidecar beside the switch, or remove the label.",
)
REPORT_UNREADABLE = Reason(
    "ReportUnreadable",
    _PR,
    Status.UNKNOWN,
    "The SipSwitch of a pod is not as this operator can read it, so nothing in it counts.",
    _SEE_SWITCH,
    "Bring operator and agents to the same version; whoever else writes SipSwitches must not.",
)
AGENT_DRAINING = Reason(
    "AgentDraining",
    _PR,
    Status.UNKNOWN,
    "The agent of a pod un-registers its gateways because the pod is to go.",
    _SEE_PODS,
    "Wait while the pod is being deleted; if it is not, restart it.",
)
AGENT_STARTING = Reason(
    "AgentStarting",
    _PR,
    Status.UNKNOWN,
    "The agent of a pod has started and has not proved anything yet.",
    _SEE_SWITCH,
    "Wait; if it stays so, look at the agent's log.",
)
NO_SWITCH_PODS = Reason(
    "NoSwitchPods",
    _PR,
    Status.UNKNOWN,
    f"No pod of this namespace carries the label {LABEL_SWITCH} with the value of spec.switch, or all of them leave.",
    _SEE_PODS,
    "Label the switch pods in their workload's template and add the agent there, as a native sidecar beside the "
    "switch, or scale the workload up.",
)

# On the way.

POD_STARTING = Reason(
    "PodStarting",
    _PR,
    Status.UNKNOWN,
    "All pods of the fleet are younger than 120 seconds, and none of them has reported the gateway loaded.",
    _SEE_PODS,
    "Wait: it goes on by itself.",
)
CONFIG_MAP_PENDING = Reason(
    "ConfigMapPending",
    _P,
    Status.FALSE,
    "The ConfigMap that carries this version to the switches is about to be written.",
    "`kubectl get configmap sipgateway-NAME`.",
    "Wait: it goes on by itself.",
)
LOADING = Reason(
    "Loading",
    _P,
    Status.FALSE,
    "A switch has not loaded this version yet.",
    _SEE_SWITCH,
    "Wait: it goes on by itself.",
)
PENDING = Reason(
    "Pending",
    _R,
    Status.FALSE,
    "REGISTER is sent, or about to be, and nothing was answered yet.",
    _SEE_GATEWAY,
    "Wait: it goes on by itself.",
)
NOT_PROGRAMMED = Reason(
    "NotProgrammed",
    (ConditionType.REGISTERED,),
    Status.UNKNOWN,
    "This version is not loaded on some switch, so what is registered there is not this version.",
    "Programmed says why.",
    "See Programmed.",
)
