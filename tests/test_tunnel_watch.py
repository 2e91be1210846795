"""A tunnel that goes down is noticed, said and brought back, or given up in the end."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from dataclasses import replace

import pytest
from fake_ngrok.place import LOCAL, QUICK, agents_of, make_place, settings, wait_for

from smsquest_cli.problems import LocalError, TunnelError
from smsquest_cli.tunnel import NgrokTunnel
from smsquest_cli.tunnel.agent import ENDED, LOST
from smsquest_cli.tunnel.watch import Watch


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with an agent; afterwards no agent runs, and none is recorded."""
    yield make_place(tmp_path, monkeypatch)

    assert agents_of(tmp_path) == []
    assert list((tmp_path / "state").glob("ngrok-agents/*")) == []


@pytest.fixture
def open_tunnel(place, monkeypatch):
    """``open_tunnel(fault)``: a tunnel, and the queue of what is told of its changes."""
    opened = []

    def opening(fault="", *, timings=QUICK, verify=None, wall=time.time, **changes):
        monkeypatch.setenv("FAKE_NGROK_FAULTS", fault)
        told = queue.SimpleQueue()
        tunnel = NgrokTunnel.open(
            LOCAL,
            settings(place, **changes),
            on_change=told.put,
            timings=timings,
            verify=verify,
            wall=wall,
        )
        opened.append(tunnel)
        return tunnel, told

    yield opening
    for tunnel in opened:
        tunnel.close()


def kill_agents(place):
    """End the agents as a crash does."""
    for pid in agents_of(place):
        os.kill(pid, signal.SIGKILL)


def following(told):
    """The next change, as state and reason."""
    change = told.get(timeout=15)
    return change.state, change.reason


def test_a_lost_session_is_told_and_so_is_its_return(open_tunnel):
    """The agent reconnects by itself, at the same address; nothing is started."""
    tunnel, told = open_tunnel("drop=0.1:0.2")

    down, up = told.get(timeout=15), told.get(timeout=15)

    assert (down.state, down.reason, down.url) == ("down", "ngrok lost its connection", tunnel.url)
    assert (up.state, up.reason, up.url) == ("up", "", tunnel.url)
    assert up.at > down.at
    assert up.at.utcoffset() is not None


def test_a_session_that_stays_lost_is_ended_and_begun_anew(place, open_tunnel, monkeypatch):
    """The agent's own pauses grow to half a minute; a new one does not wait so long."""
    tunnel, told = open_tunnel("drop=0.1:60")
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "")
    url, agents = tunnel.url, agents_of(place)

    assert following(told) == ("down", "ngrok lost its connection")
    assert following(told) == ("up", "")
    assert tunnel.url == url
    assert not set(agents) & set(agents_of(place))


def test_an_agent_that_dies_is_replaced_at_the_same_address(place, open_tunnel):
    """Nobody else tells: not ngrok, not pyngrok."""
    tunnel, told = open_tunnel()
    url = tunnel.url
    began = time.monotonic()
    kill_agents(place)

    assert following(told) == ("down", "ngrok's agent ended")
    assert time.monotonic() - began < 5
    assert following(told) == ("up", "")
    assert tunnel.url == url


def test_another_address_is_told_as_changed(place, open_tunnel, monkeypatch):
    """A random address cannot be asked for again; the new one is told, for the number's sake."""
    tunnel, told = open_tunnel()
    url = tunnel.url
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "unowned")
    kill_agents(place)

    assert following(told) == ("down", "ngrok's agent ended")
    changed = told.get(timeout=15)
    assert (changed.state, changed.url) == ("changed", tunnel.url)
    assert tunnel.url != url


def test_a_domain_is_never_exchanged_for_another(place, open_tunnel, monkeypatch):
    """Where --domain was given and is refused now, the tunnel is lost after a while."""
    tunnel, told = open_tunnel(domain="me.ngrok-free.dev", timings=replace(QUICK, lost=1))
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "unowned")
    kill_agents(place)

    assert following(told) == ("down", "ngrok's agent ended")
    retrying, lost = told.get(timeout=15), told.get(timeout=15)
    assert (retrying.state, retrying.problem.id) == ("retrying", "T15")
    assert (lost.state, lost.reason) == ("lost", f"not back in 1 s: {retrying.reason}")
    assert tunnel.url == "https://me.ngrok-free.dev"


def test_a_refusal_that_no_restart_mends_is_the_end(place, open_tunnel, monkeypatch):
    """A revoked authtoken is told at once, in the words of its problem."""
    _, told = open_tunnel()
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "fail=107,abrupt")
    kill_agents(place)

    assert following(told)[0] == "down"
    state, reason = following(told)
    assert (state, reason.split(".")[0]) == (
        "lost",
        "ngrok refused the authtoken (107: revoked or reset)",
    )


def test_an_agent_that_has_been_removed_is_not_fetched_again(place, open_tunnel, capfd):
    """An antivirus took it: pyngrok would fetch it anew, and write to standard output."""
    _, told = open_tunnel()
    (place / "ngrok").unlink()
    kill_agents(place)

    assert following(told)[0] == "down"
    state, reason = following(told)
    assert (state, reason.endswith(f"quarantined {place / 'ngrok'}")) == ("lost", True)
    assert capfd.readouterr() == ("", "")


def test_an_address_that_is_not_free_yet_is_asked_for_again(place, open_tunnel, monkeypatch):
    """After sleep, ngrok may hold the former session for a while (334)."""
    _, told = open_tunnel()
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "connect=334")
    kill_agents(place)
    assert following(told)[0] == "down"
    assert following(told)[0] == "retrying"  # it is told only where a second try is needed
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "")

    assert following(told) == ("up", "")


def test_it_is_up_only_when_it_leads_here(place, open_tunnel):
    """What *verify* raises keeps it down; it is asked with the address of the moment."""
    reachable = threading.Event()
    asked = queue.SimpleQueue()

    def verify(url):
        asked.put(url)
        if not reachable.is_set():
            raise TunnelError("T19", url=url, reason="no answer in time")

    tunnel, told = open_tunnel(verify=verify, timings=replace(QUICK, reconnect=60))
    kill_agents(place)

    assert following(told)[0] == "down"
    assert asked.get(timeout=15) == tunnel.url
    assert told.empty()
    reachable.set()
    assert following(told) == ("up", "")


def test_an_agent_that_dies_again_is_replaced_again(place, open_tunnel):
    """Also before the first replacement was found to lead here."""
    asked = queue.SimpleQueue()
    reachable = threading.Event()

    def verify(url):
        asked.put(url)
        if not reachable.is_set():
            raise TunnelError("T19", url=url, reason="no answer in time")

    _, told = open_tunnel(verify=verify, timings=replace(QUICK, reconnect=60))
    kill_agents(place)
    assert following(told)[0] == "down"
    asked.get(timeout=15)
    first = wait_for(lambda: agents_of(place))
    kill_agents(place)
    wait_for(lambda: set(agents_of(place)) - set(first))
    reachable.set()

    assert following(told)[0] == "retrying"
    assert following(told) == ("up", "")


def test_an_agent_that_comes_after_the_end_is_ended():
    """Whoever closes the tunnel meanwhile does not see it."""
    stopping, closed = threading.Event(), threading.Event()

    class Late:
        url = LOCAL
        close = closed.set

    def begin(_url, _hear):
        stopping.set()
        return Late()

    Watch(begin, stopping=stopping, tell=None, verify=None, timings=QUICK).open(None)

    assert closed.is_set()


def test_news_of_an_agent_that_was_replaced_is_no_news():
    """It may be late: what it says is not about the one that runs now."""
    heard, told = [], queue.SimpleQueue()

    class Agent:
        url = LOCAL

        def close(self):
            """Nothing runs."""

    def begin(_url, hear):
        heard.append(hear)
        return Agent()

    watch = Watch(begin, stopping=threading.Event(), tell=told.put, verify=None, timings=QUICK)
    watch.open(None)
    watch.watch()
    try:
        heard[0](ENDED)
        assert following(told) == ("down", "ngrok's agent ended")
        assert following(told) == ("up", "")
        heard[0](ENDED)
        heard[1](LOST)
        assert following(told) == ("down", "ngrok lost its connection")
    finally:
        watch.close()


def test_a_computer_that_slept_is_noticed_by_its_clock(open_tunnel):
    """The agent notices nothing for a while; the wall clock has jumped."""
    ahead = [0.0]
    _, told = open_tunnel(wall=lambda: time.time() + ahead[0])

    ahead[0] = 41 * 60 + 5

    assert following(told) == ("down", "this computer slept 41 min")
    assert following(told) == ("up", "")


def test_whoever_is_told_may_fail(place, open_tunnel, monkeypatch):
    """A log that cannot be written to does not end the watch."""
    tunnel, told = open_tunnel()

    def refuse(change):
        told.put(change)
        raise LocalError("L3", path="events.sqlite3")

    monkeypatch.setattr(tunnel._watch, "_tell_them", refuse)
    kill_agents(place)

    assert [following(told)[0], following(told)[0]] == ["down", "up"]


@pytest.mark.parametrize("fault", ["mute", ""])
def test_close_while_a_new_agent_starts_leaves_none(place, open_tunnel, monkeypatch, fault):
    """The start is cut short, and nothing is told any more."""
    tunnel, told = open_tunnel()
    monkeypatch.setenv("FAKE_NGROK_FAULTS", fault)
    kill_agents(place)
    assert following(told)[0] == "down"
    wait_for(lambda: agents_of(place))

    tunnel.close()

    assert agents_of(place) == []
    assert fault == "" or told.empty()
