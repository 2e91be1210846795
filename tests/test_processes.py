"""A process is known by more than its pid."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smsquest_cli import processes


def test_a_process_is_known_while_it_runs_and_not_after():
    """The identity of a process ends with it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        known = processes.identity(child.pid)

        assert processes.is_running(child.pid, known)

        child.communicate(b"\n")

    assert not processes.is_running(child.pid, known)


def test_another_process_with_the_pid_is_not_the_one_we_knew():
    """A pid that was taken by another program is not mistaken for ours."""
    assert not processes.is_running(os.getpid(), "another boot:1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is a time of day")
def test_a_process_of_before_the_last_start_of_the_computer_is_not_known():
    """Its pid and its time since the start may come again, the start itself does not."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    assert boot in processes.own_identity()


def test_no_identity_is_nobody():
    """What was never known cannot be running."""
    assert not processes.is_running(os.getpid(), None)


def test_a_zombie_is_gone():
    """A child that ended but was not reaped does not count as running."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert processes.identity(child.pid) is None

    child.wait()


def test_this_process_knows_itself():
    """Our own identity is that of our pid."""
    assert processes.own_identity() == processes.identity(os.getpid())
