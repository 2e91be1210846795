"""Whatever ends a run, or its agent: no process stays behind, and nobody else's is ended.

pyngrok and the processes are real; the agent is the stand-in of ``fake_ngrok``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_ngrok.place import (
    LOCAL,
    QUICK,
    Upstream,
    agents_of,
    make_place,
    refusal,
    settings,
    wait_for,
)
from pyngrok import process

from smsquest_cli.tunnel import NgrokTunnel, agent, ngrok


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with an agent; afterwards no agent runs, and none is recorded."""
    yield make_place(tmp_path, monkeypatch)

    assert agents_of(tmp_path) == []
    assert list((tmp_path / "state").glob("ngrok-agents/*")) == []


def test_close_is_quick_and_may_be_repeated(place, monkeypatch):
    """Even an agent that ignores SIGTERM is gone in about two seconds."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "deaf")
    tunnel = NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)

    closing = threading.Thread(target=tunnel.close)
    closing.start()
    closing.join(5)

    assert not closing.is_alive()
    assert agents_of(place) == []
    tunnel.close()


def test_ctrl_c_while_the_agent_starts_leaves_nothing(place, monkeypatch):
    """Left alone, pyngrok keeps an agent whose start was interrupted."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "mute")

    def press():
        wait_for(lambda: agents_of(place))
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
    presser.join()

    assert agents_of(place) == []


DRIVER = """
import sys
import threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fake_ngrok.place import LOCAL, QUICK, settings
from smsquest_cli.signals import Signals, StopRequested
from smsquest_cli.tunnel import NgrokTunnel
tunnel = None
with Signals() as signals:
    try:
        with signals.interruptible():
            print("opening", flush=True)
            tunnel = NgrokTunnel.open(
                LOCAL, settings(Path(sys.argv[2]), domain=sys.argv[3]), timings=QUICK
            )
        print(tunnel.url, flush=True)
        with signals.interruptible():
            threading.Event().wait(30)
    except StopRequested:
        pass
    finally:
        if tunnel is not None:
            tunnel.close()
print("stopped", flush=True)
"""


@pytest.fixture
def other_run(place):
    """Another process with a tunnel, as ``other_run(domain, *command before it)``."""
    started = []

    def begin(domain="", *before):
        driver = [sys.executable, "-c", DRIVER, str(Path(__file__).parent), str(place), domain]
        run = subprocess.Popen([*before, *driver], stdout=subprocess.PIPE, text=True)
        started.append(run)
        assert run.stdout.readline() == "opening\n"
        return run

    yield begin
    for run in started:
        run.kill()
        run.communicate()


def test_a_start_that_another_one_holds_up_leaves_nothing(place, monkeypatch):
    """A start elsewhere in this process has pyngrok's lock; what comes too late is ended."""
    monkeypatch.setattr(agent, "APPEAR_SECONDS", 0.2)
    began, release = threading.Event(), threading.Event()
    started = process._start_process

    def starting(config):
        began.set()
        return started(config)

    def hold():
        with process._current_processes_lock:
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    problem = refusal(place)
    monkeypatch.setattr(process, "_start_process", starting)
    release.set()
    holder.join()

    assert problem.id == "T18"
    assert began.wait(15)
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "ngrok-connect"])
    assert agents_of(place) == []


# The process that pyngrok had only just started is ended by its pid; its Popen is pyngrok's.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_before_there_is_a_process(place):
    """The start is waited for, and what it starts is ended."""
    with process._current_processes_lock:
        presser = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
        presser.join()

    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "ngrok-connect"])
    assert agents_of(place) == []


def test_there_may_be_no_standard_error(other_run):
    """As under some supervisors; the agent then has none either."""
    run = other_run("", "/bin/sh", "-c", 'exec "$@" 2>&-', "sh")
    assert run.stdout.readline().startswith("http://127.0.0.1:")
    run.terminate()

    assert run.communicate(timeout=15)[0] == "stopped\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_agent(place, other_run, number):
    """While it is open, the agent outlives the signal and is ended by `close`."""
    run = other_run()
    run.stdout.readline()
    run.send_signal(number)

    assert run.communicate(timeout=15)[0] == "stopped\n"
    assert agents_of(place) == []


def test_a_signal_during_the_start_leaves_no_agent(place, other_run, monkeypatch):
    """The wait is interrupted, the start ended, and then the signal goes on."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "mute")
    run = other_run()
    wait_for(lambda: agents_of(place))
    run.send_signal(signal.SIGTERM)

    assert run.communicate(timeout=15)[0] == "stopped\n"
    assert agents_of(place) == []


def test_the_agent_of_a_killed_run_is_ended_by_the_next(place, other_run):
    """Only SIGKILL leaves one behind, and it would keep the address for itself."""
    run = other_run()
    run.stdout.readline()
    run.kill()
    run.wait()
    (orphan,) = agents_of(place)
    said = []

    tunnel = NgrokTunnel.open(LOCAL, settings(place, say=said.append), timings=QUICK)
    agents = agents_of(place)
    tunnel.close()

    assert "ended an ngrok agent that a killed smsquest had left behind" in said
    assert (orphan in agents, len(agents)) == (False, 1)


def test_a_process_that_is_not_the_recorded_agent_is_let_live(place):
    """The pid of a record may be another program's by now."""
    folder = place / "state" / "ngrok-agents"
    folder.mkdir(parents=True)
    record = {"identity": "former", "owner": 1, "owner_identity": "x", "since": "2026-01-01T00:00Z"}
    (folder / f"{os.getpid()}.json").write_text(json.dumps({**record, "url": None}))
    (folder / "x.json").write_text("[]")

    NgrokTunnel.open(LOCAL, settings(place), timings=QUICK).close()

    assert list(folder.iterdir()) == []


def test_the_run_that_has_the_address_is_named(place, other_run, monkeypatch):
    """E12: another smsquest of this computer serves the domain; its pid and start are said."""
    run = other_run("me.ngrok-free.dev")
    run.stdout.readline()
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "connect=334")

    problem = refusal(place, domain="me.ngrok-free.dev")
    run.terminate()
    run.wait(15)

    begin = "https://me.ngrok-free.dev is already online (334): smsquest pid "
    assert problem.line.startswith(f"{begin}{run.pid} on this machine, since ")


def test_an_agent_of_this_computer_that_has_the_address_is_named(place, monkeypatch):
    """One that was started by hand is found by its page."""
    with Upstream() as page:
        page.server.RequestHandlerClass.do_GET = lambda self: (
            self.send_response(200),
            self.end_headers(),
            self.wfile.write(b'{"tunnels": [{"public_url": "https://me.ngrok-free.dev"}]}'),
        )
        monkeypatch.setattr(ngrok, "INSPECTOR", page.url)
        monkeypatch.setenv("FAKE_NGROK_FAULTS", "connect=334")

        problem = refusal(place, domain="me.ngrok-free.dev")

    assert f"(334): an ngrok agent on this machine, {page.url}." in problem.line


def test_the_address_of_an_ended_orphan_may_take_a_moment(place, other_run, monkeypatch):
    """It is free only when ngrok has noticed, so it is asked for again."""
    run = other_run()
    run.stdout.readline()
    run.kill()
    run.wait()
    orphans = agents_of(place)
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "connect=334")

    def free():
        wait_for(lambda: set(agents_of(place)) - set(orphans))
        os.environ["FAKE_NGROK_FAULTS"] = ""

    freeing = threading.Thread(target=free)
    freeing.start()
    tunnel = NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
    freeing.join()
    tunnel.close()

    assert tunnel.url.startswith("http://127.0.0.1:")
