"""Every code of this room's errors: what cannot be promoted or rolled back, and why not yet.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (exit codes, filters): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

NO_ENVIRONMENT = Code(
    "NoSuchEnvironment",
    "The environment is not in environments.yaml, or is not where things are promoted to from there.",
    "Its order there is the way from one to the next.",
    "Check its name; `sipgw env status` lists them.",
)
CANNOT_PROMOTE = Code(
    "CannotPromote",
    "A manifest is written in a way in which a promotion could change more than it means to.",
    "Only the lines that change are written, all others stay byte for byte.",
    "Rewrite it: one SipGateway per document, no anchors, aliases or merge keys, spaces and plain line ends.",
)
CONFLICT = Code(
    "PromotionConflict",
    "Both environments have changed the same field since the last promotion.",
    "One of the two changes would be lost.",
    "Make them equal, declare the field as the environment's own, or take the source's: `--take-source`.",
)
OWN_FIELD_MISSING = Code(
    "OwnFieldMissing",
    "A gateway is new in an environment, and fields that belong to that environment have no value there.",
    "The value of the environment before is never taken: it may be another carrier's account.",
    "Commit a manifest with its name and these fields to the environment's folder; the promotion adds the rest.",
)
REFUSED_SOURCE = Code(
    "RefusedManifest",
    "A manifest of one of the environments is refused as it stands.",
    "What cannot be read cannot be compared.",
    "Correct it: `sipgw lint`.",
)
GATE = Code(
    "GateNotMet",
    "A gate of environments.yaml is not met.",
    "What is promoted is to have worked where it was.",
    "See since when and what for in the message; `sipgw env status` shows all gates.",
)
NOTHING_TO_ROLL_BACK = Code(
    "NothingToRollBack",
    "There is no earlier commit to go back to.",
    "The environment has no history, or none that was good, or is as it was then.",
    "Name a commit: `--to`.",
)
NO_BRANCH = Code(
    "NoBranch",
    "There is no branch to commit to.",
    "A commit that no branch has is lost.",
    "Check a branch out: `git switch main`.",
)
KEYS_FILE = Code(
    "KeysFile",
    "A file with keys of evidence cannot be read, or holds none.",
    "Without them nothing can be trusted, or signed.",
    "Give a PEM file: `openssl genpkey -algorithm ed25519`, and `openssl pkey -pubout` for the public half.",
)
EXISTS = Code(
    "EnvironmentsExist",
    "There is a folder of environments already.",
    "It is not overwritten.",
    "Edit it, or choose another folder.",
)
