"""Things that happen later: in time, in order, and not after the end."""

from __future__ import annotations

import threading

import pytest

from smsquest_cli.sandbox.timeline import Timeline


@pytest.fixture(params=[0, 1, 3], ids="workers={}".format)
def timeline(request):
    made = Timeline(workers=request.param)
    yield made
    made.close()


def test_steps_happen_in_their_time(timeline):
    """What is due first happens first; what is due at once, in the order it was asked for."""
    happened = []
    for seconds, name in [(0.1, "late"), (0.03, "soon"), (-1.0, "now")]:
        timeline.after(seconds, lambda name=name: happened.append(name), about="x")

    assert timeline.settle(5)
    assert happened == ["now", "soon", "late"]


def test_a_step_may_ask_for_another(timeline):
    """Nothing is settled while a step begets steps."""
    left = [5]

    def step():
        left[0] -= 1
        if left[0]:
            timeline.after(0.001, step, about="x")

    timeline.after(0.0, step, about="x")

    assert timeline.settle(5)
    assert left == [0]


def test_one_waits_for_what_it_is_about(timeline):
    """Somebody else's step, or one in the background, keeps nobody waiting."""
    happened = []
    timeline.after(60.0, lambda: happened.append("later"), about="other")
    timeline.after(60.0, lambda: happened.append("background"), about=None)
    timeline.after(0.0, lambda: happened.append("mine"), about="mine")

    assert timeline.settle(5, ["mine", "unknown"])
    assert happened == ["mine"]
    assert not timeline.settle(0.01)
    timeline.clear()
    assert timeline.settle(0)


def test_nothing_happens_after_the_end(timeline):
    """A closed timeline takes no more steps and drops those it has."""
    happened = []
    timeline.after(60.0, lambda: happened.append(1), about="x")
    timeline.close()
    timeline.after(0.0, lambda: happened.append(2), about="x")

    assert timeline.settle(1)
    assert happened == []


def test_a_slow_step_holds_up_nobody():
    """While one app is slow to answer, the steps of others go on."""
    timeline = Timeline(workers=2)
    release, done = threading.Event(), threading.Event()
    timeline.after(0.0, lambda: release.wait(10) and None, about="slow")
    timeline.after(0.0, done.set, about="quick")

    assert done.wait(5)
    assert timeline.settle(5, ["quick"])
    assert not timeline.settle(0.01, ["slow"])
    release.set()
    assert timeline.settle(5)
    timeline.close()


def test_a_step_may_close_the_timeline():
    """Closing from within a step does not wait for itself."""
    closed = threading.Event()
    timeline = Timeline(workers=1)
    timeline.after(0.0, lambda: (timeline.close(), closed.set()), about="x")

    assert closed.wait(5)


def test_what_a_step_raises_is_not_lost():
    """A bug is said as any thread's is, and the next step runs all the same."""
    said, done = [], threading.Event()
    old, threading.excepthook = threading.excepthook, said.append
    try:
        timeline = Timeline(workers=1)
        timeline.after(0.0, lambda: 1 / 0, about="x")
        timeline.after(0.0, done.set, about="y")
        assert done.wait(5)
        assert timeline.settle(5)
        timeline.close()
    finally:
        threading.excepthook = old

    assert [caught.exc_type for caught in said] == [ZeroDivisionError]


def test_without_threads_what_a_step_raises_passes():
    """Whoever waits in the same thread gets the exception: a test sees its app's."""
    timeline = Timeline(workers=0)
    timeline.after(0.0, lambda: 1 / 0, about="x")

    with pytest.raises(ZeroDivisionError):
        timeline.settle(5)
    assert timeline.settle(0)
