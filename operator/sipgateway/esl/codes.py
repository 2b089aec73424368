"""Every code of this room's errors: what can go wrong between us and a switch's event socket.

In: nothing. Out: `Code` values that make findings, and `CODES`, which docs/codes.md lists.
A code is part of the contract (exit codes, JSON logs, conditions): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

SWITCH_UNREACHABLE = Code(
    "SwitchUnreachable",
    "No TCP connection to the switch's event socket.",
    "FreeSWITCH is not running, mod_event_socket is not loaded, or it listens elsewhere.",
    "Check that FreeSWITCH runs, that mod_event_socket is loaded, and the address and port.",
)
NOT_AN_EVENT_SOCKET = Code(
    "NotAnEventSocket",
    "What answers at the address does not speak the event socket's protocol.",
    "Another service listens on that port, or a proxy stands between.",
    "Check the address and port: mod_event_socket listens on 8021 unless event_socket.conf.xml says otherwise.",
)
SWITCH_REFUSED_ADDRESS = Code(
    "SwitchRefusedAddress",
    "The event socket refuses connections from our address.",
    "apply-inbound-acl of event_socket.conf.xml does not contain it.",
    "Connect over loopback, or correct apply-inbound-acl of event_socket.conf.xml.",
)
SWITCH_REFUSED_PASSWORD = Code(
    "SwitchRefusedPassword",
    "The event socket refuses the password.",
    "The password is compared byte for byte with that of event_socket.conf.xml.",
    "Give the password of event_socket.conf.xml.",
)
PASSWORD_UNUSABLE = Code(
    "PasswordUnusable",
    "The event socket's password is empty or holds a line break or another character that cannot be sent.",
    "The protocol ends a command at a line break; the rest would be taken for another command.",
    "Look at the password's file: it must hold one line.",
)
SWITCH_SILENT = Code(
    "SwitchSilent",
    "The switch did not answer in time.",
    "A late answer could be taken for the answer to a later command, so the connection is given up.",
    "It is tried again by itself; when it stays so, look at the switch's load and log.",
)
SWITCH_DISCONNECTED = Code(
    "SwitchDisconnected",
    "The connection to the switch ended.",
    "It was restarted, or a listener that lost too many events was ended by it.",
    "It is tried again by itself.",
)
SWITCH_CONFUSED = Code(
    "SwitchConfused",
    "The switch answered what no version of FreeSWITCH answers.",
    "Nothing can be concluded from such an answer, least of all that a gateway is gone.",
    "It is tried again by itself; when it stays so, report it with the switch's version.",
)
SWITCH_NOT_READY = Code(
    "SwitchNotReady",
    "The switch does not know a command of mod_sofia or mod_commands.",
    "The module is not loaded, or not yet: the event socket opens before mod_sofia has started.",
    "Wait until FreeSWITCH has started, or load the module in modules.conf.xml.",
)
ANSWER_TOO_LARGE = Code(
    "AnswerTooLarge",
    "A message of the switch is larger than any answer that is asked for.",
    "Reading it could take all memory.",
    "Look at what answers at the address; when it is FreeSWITCH, report it with the number of gateways.",
)
COMMAND_REFUSED = Code(
    "CommandRefused",
    "A name cannot be an argument of a command to the switch.",
    "It could be read as a second argument or a second command, or reach other gateways than the one meant (fact 32).",
    "Use letters, digits, `_`, `.` and `-` only, at most 255 of them, and neither of the words all and _all_.",
)

#: All codes of this room, in the order of docs/codes.md.
CODES: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
