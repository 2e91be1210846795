"""An error of our own is one line with where it happened; the rest is for who asks for it."""

from __future__ import annotations

import json
import re
import threading

import pytest

from smsquest_cli import explanations
from smsquest_cli.cli.bugs import bugs_of_threads
from smsquest_cli.cli.invocation import Invocation

SECRET = "0123456789abcdef" * 2
LINE = re.compile(
    r"error\[B1\]: smsquest has a bug: ZeroDivisionError at cli/explain\.py:\d+\. "
    r"With --debug it shows more; please report that\n"
)


@pytest.fixture
def broken(monkeypatch):
    """A program that fails where none of its errors should come."""

    def fail(_code):
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(explanations, "explain", fail)


@pytest.mark.usefixtures("broken")
def test_it_is_one_line_and_exit_1(smsquest_here):
    """What the error says itself may be anything, and stays out of it."""
    done = smsquest_here("explain", "N4")

    assert done.returncode == 1
    assert LINE.fullmatch(done.stderr)


@pytest.mark.usefixtures("broken")
def test_debug_shows_the_traceback_before_it(smsquest_here):
    """That is what can be reported."""
    done = smsquest_here("--debug", "explain", "N4")

    assert done.stderr.startswith("Traceback (most recent call last):")
    assert LINE.search(done.stderr)


@pytest.mark.usefixtures("broken")
def test_other_programs_get_a_record(smsquest_here):
    """As of any problem that ends a command."""
    done = smsquest_here("explain", "N4", "-o", "json")

    assert json.loads(done.stdout)["id"] == "B1"


def test_a_thread_that_fails_is_told_once_for_each_place(capsys):
    """A live table is not torn by tracebacks, however often the same goes wrong."""

    def fail(number):
        return number / 0 if number < 5 else int("x")

    with bugs_of_threads(Invocation()):
        for number in range(7):
            thread = threading.Thread(target=fail, args=(number,))
            thread.start()
            thread.join()

    told = re.findall(r"a bug: (\w+)", capsys.readouterr().err)
    assert told == ["ZeroDivisionError", "ValueError"]
