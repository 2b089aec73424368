"""Every code of this room's errors: repositories that cannot be reached, or hold what is not taken from them.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (exit codes, reports): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

BAD_REPOSITORY = Code(
    "BadRepository",
    "The address of a repository, or the name of a branch or commit, is not one that is taken.",
    "git would take some texts for options or for programs to run.",
    "Give an https://, ssh:// or file:// URL, `user@host:path` or an absolute path; and a plain branch name.",
)
NO_REPOSITORY = Code(
    "NoRepository",
    "There is no git repository where one should be.",
    "Nothing can be read or committed.",
    "Call it inside a clone, or name one: `--repository`.",
)
GIT_FAILED = Code(
    "GitFailed",
    "A command of git failed.",
    "The remote cannot be reached, refuses the credentials, or the disk is full; nothing was changed in the cluster.",
    "See git's own words in the message. A loop tries it again by itself.",
)
BAD_CREDENTIALS = Code(
    "BadCredentials",
    "The folder with credentials for git does not hold what is needed.",
    "A Secret of another shape may be mounted there.",
    "Mount one with `username` and `password`, or with `ssh-privatekey` and `known_hosts`.",
)
NO_SUCH_BRANCH = Code(
    "NoSuchBranch",
    "The branch is not in the repository.",
    "It was deleted or renamed. What was applied from its last commit stays as it is.",
    "Create it again, or follow another one.",
)
NO_SUCH_COMMIT = Code(
    "NoSuchCommit",
    "A commit, or a folder in it, is not in the repository.",
    "History may have been rewritten, or the clone is shallow.",
    "Fetch it, or name another one.",
)
NOT_A_PLAIN_FILE = Code(
    "NotAPlainFile",
    "A symbolic link, a submodule or a pointer to a large file stands where a manifest should be.",
    "Links lead out of the tree, the others to content that nobody has checked.",
    "Put the file itself into the folder.",
)
FOREIGN_PATH = Code(
    "ForeignPath",
    "A path in the repository has a part that git itself, or a file system, would take for its own.",
    "Written into a folder it could change more than a manifest.",
    "Rename it.",
)
BLOB_TOO_BIG = Code(
    "BlobTooBig",
    "A file of the repository, or all of them together, are larger than any set of manifests.",
    "Reading them could take all memory.",
    "Split the file, one SipGateway per file is best; keep other files out of the folder.",
)
SIGNATURE_MISSING = Code(
    "SignatureMissing",
    "The commit is not signed by any of the keys that are asked for.",
    "Somebody else may have made it. The last commit that was good stays applied.",
    "Sign it (`git commit -S`), or give the signer's key.",
)
BAD_SIGNERS = Code(
    "BadSigners",
    "The file of keys that may sign cannot be used.",
    "Without it nobody's signature could be told from that of somebody else, so nothing is taken.",
    'Give a line for each ssh key (`jo@example.com namespaces="git" ssh-ed25519 AAAA...`, see ssh-keygen(1)), and '
    "OpenPGP keys as `gpg --armor --export` writes them.",
)
PUSH_REFUSED = Code(
    "PushRefused",
    "The remote does not take a push.",
    "Somebody else was faster each time, or this account may not write there.",
    "Check the account's rights; for evidence alone another remote will do: `--evidence-remote`.",
)
DIRTY = Code(
    "UncommittedChanges",
    "Files that would be written have changes that are not committed.",
    "They would be lost, or get into a commit that is not about them.",
    "Commit or stash them first.",
)
REF_MOVED = Code(
    "RefMoved",
    "The branch has moved while the command worked.",
    "Its commit was made on what was there before, and would hide what is there now. Nothing was changed.",
    "Call the command again.",
)
