"""An ngrok tunnel opens or says why not, keeps its secrets, and leaves no process behind.

pyngrok and the processes are real; the agent is the stand-in of ``fake_ngrok``.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from fake_ngrok.place import QUICK, TOKEN, agents_of, make_place, settings, wait_for

from smsquest_cli import wire
from smsquest_cli.problems import TunnelError
from smsquest_cli.tunnel import NgrokTunnel, Pace, ngrok

HURRIED = Pace(version=20, startup=1, start=1)
LOCAL = "http://127.0.0.1:9"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with an agent; afterwards no agent runs, and none is recorded."""
    yield make_place(tmp_path, monkeypatch)

    assert agents_of(tmp_path) == []
    assert list((tmp_path / "state").glob("ngrok-agents/*")) == []


def refusal(place, pace=QUICK, **changes):
    """The problem with which opening fails."""
    with pytest.raises(TunnelError) as caught:
        NgrokTunnel.open(LOCAL, settings(place, **changes), pace=pace)
    assert caught.value.exit_code == 6
    shown = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown
    return caught.value


@pytest.fixture
def tunnel(place):
    """An open tunnel to nobody."""
    opened = NgrokTunnel.open(LOCAL, settings(place), pace=QUICK)
    yield opened
    opened.close()


class Upstream:
    """A server that keeps the requests it gets."""

    def __init__(self):
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        self.got = got = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((self.path, body, self.headers["X-Twilio-Signature"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.mark.parametrize("fault", ["", "old", "garbage"])
def test_what_is_posted_to_the_public_url_arrives_as_it_is(place, monkeypatch, fault):
    """Also through an agent older than 3.30, and after a log line that is not UTF-8."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", fault)

    with Upstream() as upstream:
        tunnel = NgrokTunnel.open(upstream.url, settings(place), pace=QUICK)
        headers = (("X-Twilio-Signature", "s=="),)
        for _ in range(3):
            wire.send(wire.Request("POST", f"{tunnel.url}/sms?x=%41", headers, b"Body=hi"))
        tunnel.close()

    assert upstream.got == [("/sms?x=%41", b"Body=hi", "s==")] * 3


def test_a_domain_is_asked_for(place):
    """``--domain`` gives the address, with or without its https://."""
    for domain in ("me.ngrok-free.dev", "https://me.ngrok-free.dev/"):
        tunnel = NgrokTunnel.open(LOCAL, settings(place, domain=domain), pace=QUICK)
        tunnel.close()

        assert tunnel.url == "https://me.ngrok-free.dev"


def test_the_domain_of_an_old_agent(place, monkeypatch):
    """The older local API has another word for it."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "old")

    tunnel = NgrokTunnel.open(LOCAL, settings(place, domain="me.ngrok-free.dev"), pace=QUICK)
    tunnel.close()

    assert tunnel.url == "https://me.ngrok-free.dev"


FAULTS = {
    "fail=105": ("T2", "ngrok refused the authtoken (105: malformed). Source: NGROK_AUTHTOKEN"),
    "fail=107,slow=0": ("T2", "(107: revoked or reset). Source: NGROK_AUTHTOKEN"),
    "fail=108": ("T4", "this ngrok account has no agent session left (108)"),
    "fail=120": ("T3", "ngrok agent 3.39.10 is too old (ERR_NGROK_120)"),
    "fail=727": ("T11", "its monthly requests (727)"),
    "fail=4018": ("T1", "needs a (free) authtoken"),
    "fail=9009": ("T21", "http_proxy (9009)"),
    "connect=334": ("T4", "https://fake.ngrok-free.dev is already online (334): another machine"),
    "connect=313": ("T15", "Custom subdomains are a feature on ngrok's paid plans (ERR_NGROK_313)"),
    "killed": ("T10", "an antivirus may have quarantined "),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.items())
def test_a_refusal_has_its_line(place, monkeypatch, capfd, fault, expected):
    """Each code of ngrok becomes one problem; nothing of the agent is on our screen."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", f"noisy,{fault}" + ",abrupt" * ("slow" not in fault))

    problem = refusal(place)

    assert (problem.id, expected[1] in problem.line) == (expected[0], True), problem.line
    assert "\\" not in problem.line
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("fault", "id_", "part"),
    [
        (
            "offline",
            "T17",
            "cannot reach its service (lookup connect.ngrok-agent.com: no such host)",
        ),
        ("mute", "T18", "within 1 s (it did not say why)"),
        ("stall=30", "T18", "(it did not say why)"),
        ("deaf,mute", "T18", "(it did not say why)"),
    ],
)
def test_an_agent_that_comes_to_nothing_is_given_up(place, monkeypatch, capfd, fault, id_, part):
    """For a silent one pyngrok would wait for ever; there is a deadline."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", fault)

    problem = refusal(place, pace=HURRIED)

    assert (problem.id, part in problem.line) == (id_, True), problem.line
    assert capfd.readouterr() == ("", "")


def test_a_malformed_token_from_the_file_is_not_quoted(place):
    """The text of ngrok holds the token; ours names the file that it came from."""
    path = place / ".config" / "ngrok" / "ngrok.yml"
    path.parent.mkdir(parents=True)
    path.write_text("version: 3\nagent:\n  authtoken: apikey-abc\n")

    problem = refusal(place, authtoken=None)

    assert (problem.id, f"Source: {path}" in problem.line) == ("T2", True)
    assert "apikey" not in problem.line


def test_without_an_authtoken_nothing_is_started_or_fetched(place, monkeypatch):
    """T1 comes before the agent is looked at: one that cannot be run is not noticed."""
    monkeypatch.setenv("PATH", "")

    assert refusal(place, authtoken=None, path=None, may_download=True).id == "T1"
    assert not (place / "state").exists()


def test_the_token_of_the_users_own_file_is_used(place):
    """``ngrok config add-authtoken`` is enough, and their file stays as it was."""
    path = place / ".config" / "ngrok" / "ngrok.yml"
    path.parent.mkdir(parents=True)
    text = f"version: 3\nagent:\n  authtoken: {TOKEN}\n"
    path.write_text(text)

    tunnel = NgrokTunnel.open(LOCAL, settings(place, authtoken=None), pace=QUICK)
    tunnel.close()

    assert path.read_text() == text


@pytest.mark.usefixtures("tunnel")
def test_the_authtoken_is_on_no_command_line(place):
    """Everybody on a computer can read the command lines; the agent has it from its environment."""
    (pid,) = agents_of(place)

    assert TOKEN not in Path(f"/proc/{pid}/cmdline").read_text()
    assert f"NGROK_AUTHTOKEN={TOKEN}\0" in Path(f"/proc/{pid}/environ").read_text()
    assert "NGROK_AUTHTOKEN" not in os.environ
    assert TOKEN not in repr(settings(place))


@pytest.mark.usefixtures("tunnel")
def test_no_file_is_written_into_the_users_folders(place):
    """Where there is no ngrok.yml, pyngrok makes one; ours is in our own home, for us alone."""
    assert not (place / ".config").exists()
    assert stat.S_IMODE((place / "state" / "ngrok.yml").stat().st_mode) == 0o600


def test_the_agent_is_recorded_while_it_runs(place, tunnel):
    """Its pid and start are known to the next run, should this one be killed."""
    (pid,) = agents_of(place)
    path = place / "state" / "ngrok-agents" / f"{pid}.json"

    content = json.loads(path.read_text())

    assert (content["owner"], content["url"]) == (os.getpid(), tunnel.url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_proxy_is_not_asked_for_this_computer(place, monkeypatch):
    """In a proxy, the requests of pyngrok to the agent would hang."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "corp.example")

    tunnel = NgrokTunnel.open(LOCAL, settings(place), pace=QUICK)
    (pid,) = agents_of(place)
    environment = Path(f"/proc/{pid}/environ").read_text()
    tunnel.close()

    assert "no_proxy=corp.example,127.0.0.1,localhost\0" in environment
    assert (os.environ.get("no_proxy"), os.environ["NO_PROXY"]) == (None, "corp.example")


def test_two_tunnels_of_one_process_have_an_agent_each(place, tunnel):
    """Left alone, pyngrok shares the first agent, whatever the settings of the second."""
    second = NgrokTunnel.open(LOCAL, settings(place), pace=QUICK)
    agents = agents_of(place)
    second.close()
    left = agents_of(place)

    assert (len(agents), len(left), second.url != tunnel.url) == (2, 1, True)


def test_close_is_quick_and_may_be_repeated(place, monkeypatch):
    """Even an agent that ignores SIGTERM is gone in about two seconds."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "deaf")
    tunnel = NgrokTunnel.open(LOCAL, settings(place), pace=QUICK)

    closing = threading.Thread(target=tunnel.close)
    closing.start()
    closing.join(2.5)

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
        NgrokTunnel.open(LOCAL, settings(place), pace=QUICK)
    presser.join()

    assert agents_of(place) == []


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fake_ngrok.place import QUICK, settings
from smsquest_cli.signals import Signals, Stopped
from smsquest_cli.tunnel import NgrokTunnel
tunnel = None
with Signals() as signals:
    try:
        with signals.interruptible():
            print("opening", flush=True)
            tunnel = NgrokTunnel.open(
                "http://127.0.0.1:9", settings(Path(sys.argv[2]), domain=sys.argv[3]), pace=QUICK
            )
        print(tunnel.url, flush=True)
        signals.raised.wait(30)
    except Stopped:
        pass
    finally:
        if tunnel is not None:
            tunnel.close()
print("stopped", flush=True)
"""


@pytest.fixture
def other_run(place):
    """Another process with a tunnel, as ``other_run(domain)``."""
    started = []

    def run(domain=""):
        command = [sys.executable, "-c", DRIVER, str(Path(__file__).parent), str(place), domain]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "opening\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_agent(place, other_run, number):
    """While it is open, the agent outlives the signal and is ended by `close`."""
    process = other_run()
    process.stdout.readline()
    process.send_signal(number)

    assert process.communicate(timeout=15)[0] == "stopped\n"
    assert agents_of(place) == []


def test_a_signal_during_the_start_leaves_no_agent(place, other_run, monkeypatch):
    """The wait is interrupted, the start ended, and then the signal goes on."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "mute")
    process = other_run()
    wait_for(lambda: agents_of(place))
    process.send_signal(signal.SIGTERM)

    assert process.communicate(timeout=15)[0] == "stopped\n"
    assert agents_of(place) == []


def test_the_agent_of_a_killed_run_is_ended_by_the_next(place, other_run):
    """Only SIGKILL leaves one behind, and it would keep the address for itself."""
    process = other_run()
    process.stdout.readline()
    process.kill()
    process.wait()
    (orphan,) = agents_of(place)
    said = []

    tunnel = NgrokTunnel.open(LOCAL, settings(place, say=said.append), pace=QUICK)
    agents = agents_of(place)
    tunnel.close()

    assert said == ["ended an ngrok agent that a killed smsquest had left behind"]
    assert (orphan in agents, len(agents)) == (False, 1)


def test_a_process_that_is_not_the_recorded_agent_is_let_live(place):
    """The pid of a record may be another program's by now."""
    folder = place / "state" / "ngrok-agents"
    folder.mkdir(parents=True)
    record = {"identity": "former", "owner": 1, "owner_identity": "x", "since": "2026-01-01T00:00Z"}
    (folder / f"{os.getpid()}.json").write_text(json.dumps({**record, "url": None}))
    (folder / "x.json").write_text("[]")

    NgrokTunnel.open(LOCAL, settings(place), pace=QUICK).close()

    assert list(folder.iterdir()) == []


def test_the_run_that_has_the_address_is_named(place, other_run, monkeypatch):
    """E12: another smsquest of this computer serves the domain; its pid and start are said."""
    process = other_run("me.ngrok-free.dev")
    process.stdout.readline()
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "connect=334")

    problem = refusal(place, domain="me.ngrok-free.dev")
    process.terminate()
    process.wait(15)

    begin = "https://me.ngrok-free.dev is already online (334): smsquest pid "
    assert problem.line.startswith(f"{begin}{process.pid} on this machine, since ")


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
    process = other_run()
    process.stdout.readline()
    process.kill()
    process.wait()
    orphans = agents_of(place)
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "connect=334")

    def free():
        wait_for(lambda: set(agents_of(place)) - set(orphans))
        os.environ["FAKE_NGROK_FAULTS"] = ""

    freeing = threading.Thread(target=free)
    freeing.start()
    tunnel = NgrokTunnel.open(LOCAL, settings(place), pace=QUICK)
    freeing.join()
    tunnel.close()

    assert tunnel.url.startswith("http://127.0.0.1:")
