"""Signals are a question that a session asks, and an exception only where it says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from smsquest_cli.signals import Signals, StopRequested


def test_a_signal_outside_an_interruptible_block_is_only_remembered():
    """A change that is under way is never cut in the middle."""
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)

        assert (signals.reason, signals.exit_code) == ("interrupt", 130)


def test_a_signal_inside_an_interruptible_block_raises():
    """A wait for the network ends at once."""
    with Signals() as signals, pytest.raises(StopRequested), signals.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)

    assert (signals.reason, signals.exit_code) == ("terminate", 143)


def test_a_lock_that_a_signal_has_taken_from_a_wait_is_no_bug():
    """`threading` says so if it was interrupted before it had its lock back."""

    def interrupted():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            threading.Lock().release()  # what a condition does then

    with Signals() as signals, pytest.raises(StopRequested), signals.interruptible():
        interrupted()

    with pytest.raises(RuntimeError), Signals().interruptible():
        threading.Lock().release()


def test_a_signal_that_came_before_raises_at_the_start_of_the_block():
    """Nothing new is begun after somebody asked to stop."""
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)

        with pytest.raises(StopRequested), signals.interruptible():
            pytest.fail("the block was begun")


def test_repeats_are_counted_and_told():
    """The second and third Ctrl-C reach whoever is putting things back."""
    told = []
    with Signals(told.append) as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)

    assert (told, signals.count) == ([2, 3], 3)


def test_the_first_reason_stays():
    """A SIGTERM after Ctrl-C does not change how the run ended."""
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    assert signals.reason == "interrupt"


def test_the_former_handlers_return():
    """Whoever had the signals before has them again."""
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before


def test_what_nohup_ignores_stays_ignored():
    """A run that is to outlive its terminal does; Ctrl-C and SIGTERM still end it."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.reason is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_what_is_said_of_a_repeat_ends_nothing():
    """A handler runs in the middle of anything: its error would fly through that."""

    def failing(_count):
        raise RuntimeError("reentrant call")

    with Signals(failing) as signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    assert signals.count == 2


def test_a_signal_while_python_ends_changes_nothing():
    """A run that has stopped cleanly is not killed on its last metre by one more Ctrl-C."""
    script = """
        import os, signal
        from smsquest_cli.signals import Signals

        class Last:
            def __del__(self, kill=os.kill, pid=os.getpid(), number=int(signal.SIGINT)):
                kill(pid, number)

        with Signals(to_the_end=True):
            os.kill(os.getpid(), signal.SIGINT)
        os.last = Last()  # goes when modules do, after the handlers
    """

    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)

    assert ended.returncode == 0
