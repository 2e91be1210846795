"""Problems the user can act on: the exceptions, and the catalogue of their texts.

The catalogue is data (``catalogue/problems.toml``): one entry for each id, the one source for the
screen, the JSON records, ``explain`` and the reference in ``docs/``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One problem of the catalogue; ``line`` holds ``{placeholders}`` for what is known later."""

    id: str
    severity: str  # error, warning or note
    title: str
    line: str
    cause: str
    who: str  # whose turn it is: you, your app, Twilio, the carrier, the recipient, ngrok, smsquest
    next_step: str
    url: str | None = None


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """Every problem by its id, in the order of the catalogue."""
    text = (resources.files(__package__) / "catalogue" / "problems.toml").read_text("utf-8")
    return {id_: CatalogueEntry(id_, **values) for id_, values in tomllib.loads(text).items()}


def line_of(problem_id: str, /, **values: object) -> str:
    """The line to show for *problem_id*, with *values* in the place of its placeholders.

    Raises `KeyError` for an id that is not in the catalogue, or if a value that its line needs is
    missing: both are our bugs, and a test looks for them.
    """
    return catalogue()[problem_id].line.format_map(values)


def reason_of(err: OSError) -> str:
    """Why the system refused, in the middle of a sentence."""
    return (err.strerror or str(err)).lower()


class SmsquestError(Exception):
    """A problem that ends a command and that the user can act on; subclasses say the remedy.

    ``line`` is what to show; nothing secret may be among *values*.
    """

    exit_code: ClassVar[int] = 1
    severity: ClassVar[str] = "error"  # what ends a command is one, even what elsewhere is a note
    sid: str | None = None  # of the message that it is about

    def __init__(self, problem_id: str, /, **values: object) -> None:
        self.id = problem_id
        self.line = line_of(problem_id, **values)
        super().__init__(f"{problem_id}: {self.line}")

    def about(self, sid: str | None) -> Self:
        """The same problem, as one of the message *sid*."""
        self.sid = sid
        return self

    @classmethod
    def told(cls, problem_id: str, line: str) -> Self:
        """The problem that another process of ours has reported in these words."""
        error = cls.__new__(cls)
        error.id, error.line = problem_id, line
        Exception.__init__(error, f"{problem_id}: {line}")
        return error


class UsageError(SmsquestError):
    """What was typed cannot be done as it stands: type it differently."""

    exit_code = 2


class CredentialsError(SmsquestError):
    """Credentials are missing, malformed or refused: set the right ones."""

    exit_code = 3


class TwilioRefusedError(SmsquestError):
    """Twilio refused a request, or could not be reached."""

    exit_code = 4


class NumberError(SmsquestError):
    """The number is missing, ambiguous, unusable, or its change was not confirmed."""

    exit_code = 5


class TunnelError(SmsquestError):
    """The tunnel could not be opened, or it is lost for good."""

    exit_code = 6


class LocalError(SmsquestError):
    """Something on this computer stands in the way: a port, a file, a folder."""

    exit_code = 7


class ExpectationError(SmsquestError):
    """Something that was expected did not happen, or not in time."""

    exit_code = 8


class NotRestoredError(SmsquestError):
    """A number still points at us and could not be put back; beats every other exit code."""

    exit_code = 9
