"""Every code of a finding of this room: what stands in files, not what a SipGateway means (that is api/codes.py).

In: nothing. Out: `Code` values that make findings, and `CODES`, which docs/codes.md lists.
A code is part of the contract (lint output, CI filters): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code
from sipgateway.errors import Severity

# Reading files and folders.

FILE_UNREADABLE = Code(
    "FileUnreadable",
    "A file or folder cannot be opened or read.",
    "What stands in it is unknown, so nothing that was loaded from it may be removed.",
    "Correct its permissions, or remove it.",
)
FILE_OUTSIDE = Code(
    "FileOutside",
    "A symbolic link leads out of the source folder, nowhere, or to a folder.",
    "A repository of somebody else could make us read any file of this machine; folders are not followed, because one "
    "manifest would then be read twice.",
    "Put the file itself into the folder.",
)
NOT_A_FILE = Code(
    "NotAFile",
    "A pipe, socket or device stands where a manifest should be.",
    "Reading it could wait for ever.",
    "Remove it.",
)
FILE_TOO_BIG = Code(
    "FileTooBig",
    "A file is larger than any set of manifests or gateways.",
    "Reading it could take all memory.",
    "Split the file, one SipGateway per file is best.",
)
NOT_UTF8 = Code(
    "NotUtf8",
    "A manifest is not UTF-8 text.",
    "Kubernetes reads UTF-8 only; guessing another encoding could change a value.",
    "Save the file as UTF-8.",
)
BAD_YAML = Code(
    "BadYaml",
    "A file is not valid YAML or JSON.",
    "Nothing in it can be understood with certainty.",
    "Correct the syntax.",
)
DUPLICATE_KEY = Code(
    "DuplicateKey",
    "The same key stands twice in one mapping.",
    "kubectl refuses it; other tools take the first or the last without a word.",
    "Remove one of the two.",
)
TOO_COMPLEX = Code(
    "TooComplex",
    "A document is nested too deeply, has too many entries, or grows too much through aliases.",
    "Small files can expand to gigabytes (a YAML bomb).",
    "Write it plainly, without nested aliases; put a text that begins with `*` or `&` into quotes.",
)
YAML_TAG = Code(
    "YamlTag",
    "A YAML tag other than those of plain data.",
    "Tags make programs build objects of their own; manifests are plain data.",
    "Remove the tag, or put the text into quotes if it is meant to begin with an exclamation mark.",
)
AMBIGUOUS_NUMBER = Code(
    "AmbiguousNumber",
    "A number with a leading zero, in base 2, 8 or 16, or with underscores.",
    "kubectl reads 0600 as octal (384), newer tools as 600.",
    "Write the number in plain decimal digits, or put it into quotes where a text is meant.",
)
NOT_AN_OBJECT = Code(
    "NotAnObject",
    "A document is not a Kubernetes object: apiVersion, kind or metadata.name is missing.",
    "It may be a SipGateway that lost a line, so it cannot be passed over.",
    "Give it apiVersion, kind and metadata.name, or move the file out of the folder.",
)
WRONG_KIND = Code(
    "WrongKind",
    "An object of our group, or spelled almost like it, that cannot be read from files.",
    "It may be meant as a SipGateway, and would be passed over.",
    "Write apiVersion: sipgateway.dev/v1alpha1 and kind: SipGateway.",
)
BAD_SECRET = Code(
    "BadSecret",
    "A Secret that Kubernetes would refuse.",
    "`data` holds base64, `stringData` holds text; a value of another type is refused.",
    "Correct the Secret.",
)
DUPLICATE_OBJECT = Code(
    "DuplicateObject",
    "Two manifests have the same kind, namespace and name.",
    "Which of them holds would be chance, so neither is used.",
    "Remove or rename one of the two.",
)
NOTHING_FOUND = Code(
    "NothingFound",
    "No manifest and no gateway was found.",
    "An empty answer is more often a wrong path than a wish.",
    "Check the path, and that files end with .yaml, .yml, .json or .xml.",
)
# FreeSWITCH XML.

MALFORMED_XML = Code(
    "MalformedXml",
    "FreeSWITCH cannot parse the file.",
    "One malformed file blocks every other gateway of every profile, and rescan still answers +OK (facts 2, 3).",
    "Correct the XML.",
)
CONTENT_DROPPED = Code(
    "ContentDropped",
    "The pre-processor drops a line that holds more than a directive.",
    "It works line by line: all of a line with <include>, </include>, <? or X-PRE-PROCESS is dropped, and the answer "
    "is Success (facts 4, 5).",
    "Give the directive a line of its own.",
)
INCLUDE_UNREADABLE = Code(
    "IncludeUnreadable",
    "A file that an include names cannot be opened.",
    "It is skipped with Reload XML [Success] (fact 31).",
    "Correct the link or the permissions.",
)
INCLUDE_OUTSIDE = Code(
    "IncludeOutside",
    "An include names files outside the folder that was given; they are not read.",
    "The switch would read them, so gateways may be missing here.",
    "Give the whole configuration folder.",
    Severity.WARNING,
)
INCLUDE_LOOP = Code(
    "IncludeLoop",
    "Files include each other, or too many files are included.",
    "The switch stops at 100 levels and loads the content of each level.",
    "Remove the loop.",
)
COMMAND_NOT_RUN = Code(
    "CommandNotRun",
    "The configuration takes text from a program (`exec`).",
    "It is never executed here, so what it would put in is missing.",
    "Check that no gateway comes from it.",
    Severity.WARNING,
)
VARIABLE_UNSET = Code(
    "VariableUnset",
    "A gateway uses a global variable that these files do not set.",
    "FreeSWITCH puts an empty text in its place when it is not set (fact 6).",
    "Give it with --var NAME=VALUE, or correct its name.",
    Severity.WARNING,
)
DUPLICATE_GATEWAY = Code(
    "DuplicateGateway",
    "Two gateways have the same name.",
    "On one profile the second is ignored. On two profiles it becomes a ghost: one more copy with each rescan, that no "
    "command reaches (fact 11).",
    "Rename or remove one of the two.",
)
NOT_LOADED = Code(
    "GatewayNotLoaded",
    "mod_sofia drops the gateway.",
    "register is true (the default) without username or password, or register-transport is an unknown word (fact 13).",
    "Correct it; as it is, the switch has no such gateway.",
)
NO_PROFILE = Code(
    "NoProfile",
    "No profile loads this gateway.",
    "A directory user's gateways are loaded only by profiles with <domain name=... parse=true> (fact 25).",
    'Add <domain name="..." parse="true"/> to a profile.',
    Severity.WARNING,
)
UNKNOWN_PARAMETER = Code(
    "UnknownParameter",
    "A parameter that mod_sofia does not read, and whose name is nearly that of one it does.",
    "It is ignored without a word.",
    "Correct its name or remove it.",
)
UNREAD_PARAMETER = Code(
    "UnreadParameter",
    "A parameter that mod_sofia does not read, unlike any that it does.",
    "It is ignored without a word, unless the switch was changed.",
    "Remove it, or see that the switch reads it.",
    Severity.WARNING,
)
OVERRIDDEN = Code(
    "OverriddenParameter",
    "The same parameter stands twice.",
    "The last one wins without a word.",
    "Remove one of the two.",
)
COERCED = Code(
    "CoercedValue",
    "A value that mod_sofia silently replaces by another.",
    "Numbers below a bound become the default, and any word that is not a true one is false.",
    "Write the value that is meant.",
)
IGNORED_ELEMENT = Code(
    "IgnoredElement",
    "An element that mod_sofia does not read where it stands.",
    "If <params> or <variables> exists, only what is inside is read; a <param> without name and a <variable> without "
    "name or value are passed over.",
    "Move it inside, or remove it.",
)
CREDENTIAL_LEFT_OUT = Code(
    "CredentialLeftOut",
    "A value that looks like a password stands where a manifest cannot keep it secret.",
    "Manifests are kept in git; what stands in extraParams or variables can be read by anybody.",
    "Move it into a Secret, or decide yourself that it may be seen.",
    Severity.WARNING,
)
NAME_CHANGED = Code(
    "NameChanged",
    "The gateway's name is no Kubernetes name; metadata.name differs from it.",
    "spec.gatewayName keeps the name on the switch.",
    "",
    Severity.WARNING,
)

# Commits.

NO_ENVIRONMENTS = Code(
    "NoEnvironments",
    "The commit has no environments/environments.yaml.",
    "It says which environments there are and what belongs to each.",
    "Write one: `sipgw env init`, then commit it.",
)
FOREIGN_KIND = Code(
    "ForeignKind",
    "The folder of an environment has an object that is no SipGateway.",
    "Whoever may write to the repository could otherwise make anything in the cluster.",
    "Keep it elsewhere; other tools apply it.",
)
SECRET_IN_GIT = Code(
    "SecretInGit",
    "The folder of an environment has a Secret.",
    "Everybody who ever cloned the repository has its values.",
    "Remove it, change the password, and make the Secret in the cluster.",
)
FOREIGN_NAMESPACE = Code(
    "ForeignNamespace",
    "A manifest names another namespace than that of its environment.",
    "It would appear beside what belongs to somebody else.",
    "Remove metadata.namespace, or correct it.",
)
FIELD_CONFLICT = Code(
    "FieldConflict",
    "Somebody else manages a field that the commit sets.",
    "Taking it over would undo what the other one does, and be undone by it.",
    "Remove the field from one of the two; `kubectl get sipgateway NAME -o yaml --show-managed-fields` shows who.",
)
DRY_RUN_REFUSED = Code(
    "DryRunRefused",
    "The API server would refuse an object of the commit.",
    "Nothing of the commit is applied; what was applied before stays.",
    "Correct the manifest; the API server's words are in the message.",
)
PRUNE_TOO_MUCH = Code(
    "PruneTooMuch",
    "The commit removes more SipGateways at once than is allowed.",
    "A folder that was renamed, or a bad merge, would take trunks down.",
    "If that is meant, sync once with `--allow-prune`, or raise `--max-prune`.",
)
EMPTY_TREE = Code(
    "EmptyTree",
    "The commit has no SipGateway for the environment, and the cluster has some of it.",
    "An empty folder is rarely meant. Nothing is removed.",
    "To remove the last one, delete it in the cluster.",
)

#: All codes of this room, in the order of docs/codes.md.
CODES: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
