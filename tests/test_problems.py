"""The catalogue and the code agree, and each line is one that can be shown as it stands."""

from __future__ import annotations

import ast
import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest

import smsquest_cli
from smsquest_cli import problems
from smsquest_cli.events import Problem
from smsquest_cli.problems import (
    CredentialsError,
    ExpectationError,
    LocalError,
    NotRestoredError,
    NumberError,
    SmsquestError,
    TunnelError,
    TwilioRefusedError,
    UsageError,
    catalogue,
    line_of,
)

PACKAGE = Path(smsquest_cli.__file__).parent
ENTRIES = list(catalogue().values())
WHO = {"you", "your app", "the recipient", "the carrier", "Twilio", "ngrok", "smsquest"}
ID = re.compile(r"[ABCDELMNPRSTUW]\d{1,2}")


def placeholders(line):
    return {name for _, name, _, _ in string.Formatter().parse(line) if name is not None}


def mentions():
    """Every call in the package that names a problem first, and where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            first = getattr(node.args[0], "value", None)
            if isinstance(first, str) and ID.fullmatch(first):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", first, node


def values_given(call):
    """The names of the values that a call gives to its line, or None where it cannot be read."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    names = {keyword.arg for keyword in call.keywords}
    if None in names:
        return None
    if name == "line_of" or name.endswith("Error"):
        return names
    if name == "of":  # events.Problem.of
        return names - {"at", "about", "severity"}
    if name == "Finding" and len(call.args) > 1 and isinstance(call.args[1], ast.Dict):
        return {getattr(key, "value", None) for key in call.args[1].keys}
    return None


def test_every_id_that_the_package_names_is_in_the_catalogue():
    """Nobody can be shown a problem that nothing explains."""
    unknown = [(place, id_) for place, id_, _ in mentions() if id_ not in catalogue()]

    assert unknown == []


def test_every_place_gives_its_line_the_values_it_needs():
    """No placeholder stays unfilled, and none is filled that the line does not show."""
    wrong = [
        (place, id_, sorted(given), sorted(wanted))
        for place, id_, call in mentions()
        if (given := values_given(call)) is not None
        and id_ in catalogue()
        and given != (wanted := placeholders(catalogue()[id_].line))
    ]

    assert wrong == []


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.id for entry in ENTRIES])
def test_an_entry_is_complete(entry):
    """A line is one line, says no secret, can be formatted; the rest are sentences for people."""
    values = dict.fromkeys(placeholders(entry.line), "x")

    assert ID.fullmatch(entry.id)
    assert entry.severity in {"error", "warning", "note"}
    assert entry.who in WHO
    assert entry.line == entry.line.strip() == " ".join(entry.line.split())
    assert len(entry.line) <= 160
    assert not entry.line.endswith(".")
    assert not {name for name in values if re.search("secret|token|password", name)}
    assert all(name.isidentifier() and name == name.lower() for name in values)
    assert "{" not in line_of(entry.id, **values)
    assert Problem.of(entry.id, at=datetime.now(UTC), **values).line == line_of(entry.id, **values)
    assert entry.title[0].isupper() or entry.title.startswith("ngrok")
    assert not entry.title.endswith(".")
    assert entry.cause.endswith(".")
    assert entry.next_step.endswith(".")
    assert entry.url is None or re.fullmatch(
        r"https://[a-z.]*(twilio|ngrok)\.com(/\S*)?", entry.url
    )


def test_a_family_stands_together_and_in_order():
    """The catalogue is read by people too."""
    by_family = sorted(catalogue(), key=lambda id_: ("CNTASRDMPULWEB".index(id_[0]), int(id_[1:])))

    assert list(catalogue()) == by_family


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (CredentialsError, 3),
        (TwilioRefusedError, 4),
        (NumberError, 5),
        (TunnelError, 6),
        (LocalError, 7),
        (ExpectationError, 8),
        (NotRestoredError, 9),
    ],
)
def test_a_kind_of_problem_has_its_exit_code(kind, code):
    """Scripts tell the kinds apart by the exit code."""
    problem = kind("U1", sid="SM12345678", meant="")

    assert problem.exit_code == code
    assert isinstance(problem, SmsquestError)
    assert (problem.id, problem.severity) == ("U1", "error")
    assert str(problem) == "U1: no message here begins with SM12345678. Recent ones: smsquest log"


def test_what_ends_a_command_is_an_error():
    """D8 is a note where somebody texts STOP, and an error where a message is refused for it."""
    assert catalogue()["D8"].severity == "note"
    assert TwilioRefusedError("D8", number="+12025550143").severity == "error"


def test_a_value_that_the_line_needs_and_does_not_get_is_our_bug():
    """A missing value is found where it is raised, not on the user's screen."""
    with pytest.raises(KeyError):
        line_of("U1")


def test_the_catalogue_is_read_once():
    """Raising is cheap: the file is parsed the first time only."""
    assert problems.catalogue() is problems.catalogue()
