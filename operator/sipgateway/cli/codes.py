"""Every code of this room's errors: arguments, and the files that commands read and write besides manifests.

In: nothing. Out: `Code` values that make findings, and `CODES`, which docs/codes.md lists.
A code is part of the contract (exit codes, JSON logs): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

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

#: All codes of this room, in the order of docs/codes.md.
CODES: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
