"""Every code of this room's errors: what cannot be written into a file that FreeSWITCH reads.

In: nothing. Out: `Code` values that make findings; docs/codes.md lists them.
A code is part of the contract (conditions, lint output, CI filters): it is never renamed and never reused.
"""

from __future__ import annotations

from sipgateway.api.codes import Code

NOT_CARRIED_BY_XML = Code(
    "NotCarriedByXml",
    "A text holds a character that no XML document can hold: NUL, most control characters, a lone surrogate, "
    "U+FFFE or U+FFFF.",
    "Not even a character reference can stand for it, so FreeSWITCH could never read it.",
    "Remove the character.",
)
RENDER_NOT_PROVED = Code(
    "RenderNotProved",
    "The rendered file, run through the model of FreeSWITCH's reader, does not give back what went in.",
    "Loading it would make a gateway other than the one declared, so it never reaches a switch.",
    "This is a defect: report it with the manifest, without its secrets.",
)
UNSAFE_PATH = Code(
    "UnsafePath",
    "A name cannot be part of a file's path.",
    "The file would stand outside its folder, or where no include of the switch finds it.",
    "Correct the name or the layout's template.",
)
