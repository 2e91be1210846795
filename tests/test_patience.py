"""A screen is not silent for longer than a second without a word on what is waited for."""

from __future__ import annotations

import threading

import pytest

from smsquest_cli import patience
from smsquest_cli.patience import unless_quick


@pytest.fixture
def told(monkeypatch):
    """What was told; patience ends at once."""
    monkeypatch.setattr(patience, "SECONDS", 0.001)
    return Told()


class Told:
    def __init__(self):
        self.count = 0
        self.event = threading.Event()

    def __call__(self):
        self.count += 1
        self.event.set()


def test_what_takes_long_is_told_once(told):
    """The block goes on meanwhile, and what it raises is raised."""

    def slow():
        with unless_quick(told):
            assert told.event.wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        slow()

    assert told.count == 1


def test_what_is_quick_is_not_told(told, monkeypatch):
    """Nothing is told once the block is done."""
    monkeypatch.setattr(patience, "SECONDS", 0.3)
    with unless_quick(told):
        pass

    assert not told.event.wait(0.5)


def test_nobody_waits_for_another_thread(told):
    """What goes on in the background is nothing to talk about."""
    early = []

    def work():
        with unless_quick(told):
            early.append(told.event.wait(0.1))

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()

    assert early == [False]
