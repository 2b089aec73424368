"""The one family of errors, and the finding: what is wrong, where, why, and what to do next.

Lowest room: everything may import it, it imports nothing of ours.
In: nothing. Out: `Finding` (a value to report) and `SipgwError` (an exception that carries findings).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Severity(enum.StrEnum):
    """How a finding counts: an error refuses the input, a warning lets it pass and says so."""

    ERROR = "error"
    WARNING = "warning"


class ExitCode(enum.IntEnum):
    """Exit codes of `sipgw`, the same for every command (documented in docs/exit-codes.md)."""

    OK = 0
    FAILED = 1  # the command ran, and what it checked or did is not as it should be
    USAGE = 2  # wrong arguments
    INPUT = 3  # a file or manifest cannot be read or is refused
    SWITCH = 4  # the switch cannot be reached, or refused us
    STORAGE = 5  # files cannot be written (disk full, permissions, lock held)
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Location:
    """A place in an input file.

    Attributes:
        file: path as the user gave it, `-` for standard input.
        line: 1-based, 0 when unknown.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Finding:
    """One refusal or warning. Never holds a secret value.

    Attributes:
        code: stable CamelCase word from docs/codes.md, usable as a condition's reason.
        field: path of the field, e.g. `spec.variables[0].name`; empty when it is about the whole.
        message: what is wrong and what FreeSWITCH would do with it.
        action: what to do next, an imperative sentence.
        severity: error or warning.
        location: file and line when the input came from a file.
    """

    code: str
    field: str
    message: str
    action: str
    severity: Severity = Severity.ERROR
    location: Location | None = None

    def at(self, location: Location | None) -> Finding:
        """The same finding, placed in a file."""
        return replace(self, location=location)

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        field = f"{self.field}: " if self.field else ""
        action = f" {self.action}" if self.action else ""
        return f"{where}{self.code}: {field}{self.message}{action}"


class SipgwError(Exception):
    """Base of all errors that are shown to a user: a finding and an exit code.

    Args:
        finding: what happened; its text is the exception's text.
        exit_code: what `sipgw` ends with when nobody handles it.
    """

    def __init__(self, finding: Finding, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(str(finding))
        self.finding = finding
        self.exit_code = exit_code


class InputError(SipgwError):
    """An input cannot be read or understood (exit code 3)."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding, ExitCode.INPUT)


class SwitchError(SipgwError):
    """The switch cannot be reached, refused us, or answered what no version answers (exit code 4)."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding, ExitCode.SWITCH)


class StorageError(SipgwError):
    """Files cannot be written or locked (exit code 5)."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding, ExitCode.STORAGE)
