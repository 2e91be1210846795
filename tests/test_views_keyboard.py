"""Whoever presses Enter in a live table does not tear it, and has the keyboard back afterwards."""

from __future__ import annotations

import os
import pty
import sys
import termios
from contextlib import suppress

import pytest

from smsquest_cli.views.keyboard import echo_off


class Keyboard:
    """Standard input on a terminal that is ours, or another program's at the moment."""

    def __init__(self, handle, group):
        self._handle = handle
        self.group = group

    def fileno(self):
        return self._handle

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self._handle)[3] & termios.ECHO)


@pytest.fixture
def keyboard(monkeypatch):
    ours, theirs = pty.openpty()
    keyboard = Keyboard(theirs, os.getpgrp())
    monkeypatch.setattr(sys, "stdin", keyboard)
    monkeypatch.setattr(os, "tcgetpgrp", lambda _handle: keyboard.group)
    yield keyboard
    os.close(ours)
    os.close(theirs)


def test_what_is_typed_is_not_written_meanwhile(keyboard):
    """And is again afterwards, whatever happened."""
    assert keyboard.echoes
    with suppress(KeyError), echo_off():
        assert not keyboard.echoes
        raise KeyError

    assert keyboard.echoes


def test_the_keyboard_of_another_program_is_left_alone(keyboard):
    """A job in the background that changed it would be stopped by the system."""
    keyboard.group += 1
    with echo_off():
        assert keyboard.echoes
    keyboard.group -= 1
    with echo_off():
        keyboard.group += 1  # it is put into the background meanwhile

    assert not keyboard.echoes


@pytest.mark.parametrize("closed", [True, False])
def test_where_there_is_no_keyboard_nothing_happens(monkeypatch, tmp_path, closed):
    """Standard input is closed, or a file."""
    passed = False
    with (tmp_path / "input").open("w") as file:
        monkeypatch.setattr(sys, "stdin", None if closed else file)
        with echo_off():
            passed = True

    assert passed
