"""An ngrok tunnel opens or says why not, keeps its secrets, and leaves no process behind.

pyngrok and the processes are real; the agent is the stand-in of ``fake_ngrok``.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ngrok.place import (
    LOCAL,
    QUICK,
    TOKEN,
    Upstream,
    agents_of,
    make_place,
    refusal,
    settings,
)

from smsquest_cli import wire
from smsquest_cli.tunnel import NgrokTunnel, Timings

HURRIED = Timings(version=20, startup=1, start=1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with an agent; afterwards no agent runs, and none is recorded."""
    yield make_place(tmp_path, monkeypatch)

    assert agents_of(tmp_path) == []
    assert list((tmp_path / "state").glob("ngrok-agents/*")) == []


@pytest.fixture
def tunnel(place):
    """An open tunnel to nobody."""
    opened = NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
    yield opened
    opened.close()


@pytest.mark.parametrize("fault", ["", "old", "garbage", "strict"])
def test_what_is_posted_to_the_public_url_arrives_as_it_is(place, monkeypatch, fault):
    """Also through an agent before 3.30, after a log line that is not UTF-8, without a field."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", fault)

    with Upstream() as upstream:
        tunnel = NgrokTunnel.open(upstream.url, settings(place), timings=QUICK)
        headers = (("X-Twilio-Signature", "s=="),)
        for _ in range(3):
            wire.send(wire.Request("POST", f"{tunnel.url}/sms?x=%41", headers, b"Body=hi"))
        tunnel.close()

    assert upstream.got == [("/sms?x=%41", b"Body=hi", "s==")] * 3


def test_a_domain_is_asked_for(place):
    """``--domain`` gives the address, with or without its https://."""
    for domain in ("me.ngrok-free.dev", "https://me.ngrok-free.dev/"):
        tunnel = NgrokTunnel.open(LOCAL, settings(place, domain=domain), timings=QUICK)
        tunnel.close()

        assert tunnel.url == "https://me.ngrok-free.dev"


def test_the_domain_of_an_old_agent(place, monkeypatch):
    """The older local API has another word for it."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "old")

    tunnel = NgrokTunnel.open(LOCAL, settings(place, domain="me.ngrok-free.dev"), timings=QUICK)
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

    # One that has something to say is given the time for it.
    problem = refusal(place, timings=replace(HURRIED, start=4) if id_ == "T17" else HURRIED)

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

    assert refusal(place, authtoken=None, path=None).id == "T1"
    assert not (place / "state").exists()


def test_the_token_of_the_users_own_file_is_used(place):
    """``ngrok config add-authtoken`` is enough, and their file stays as it was."""
    path = place / ".config" / "ngrok" / "ngrok.yml"
    path.parent.mkdir(parents=True)
    text = f"version: 3\nagent:\n  authtoken: {TOKEN}\n"
    path.write_text(text)

    tunnel = NgrokTunnel.open(LOCAL, settings(place, authtoken=None), timings=QUICK)
    tunnel.close()

    assert path.read_text() == text


def test_what_takes_long_is_said(place, monkeypatch):
    """After a second of silence one wants to know what is waited for."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", "slow=1.1")
    said = []

    NgrokTunnel.open(LOCAL, settings(place, say=said.append), timings=QUICK).close()

    assert said == ["waiting for ngrok to open the tunnel …"]


@pytest.mark.usefixtures("tunnel")
def test_the_authtoken_is_on_no_command_line(place):
    """Everybody on a computer can read the command lines; the agent has it from its environment."""
    (pid,) = agents_of(place)

    assert TOKEN not in Path(f"/proc/{pid}/cmdline").read_text()
    assert f"NGROK_AUTHTOKEN={TOKEN}\0" in Path(f"/proc/{pid}/environ").read_text()
    assert "NGROK_AUTHTOKEN" not in os.environ
    assert TOKEN not in repr(settings(place))


@pytest.mark.parametrize(("fault", "kind"), [("", "endpoints"), ("old", "tunnels")])
def test_the_agents_page_does_not_show_the_texts(place, monkeypatch, fault, kind):
    """It is open to every user of a computer, and keeps the requests that it inspects."""
    monkeypatch.setenv("FAKE_NGROK_FAULTS", fault)
    tunnel = NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
    api = tunnel._watch.agent._child.api_url
    answer = wire.send(wire.Request("GET", f"{api}/api/{kind}"))
    tunnel.close()

    [endpoint] = json.loads(answer.body)[kind]
    assert (endpoint if kind == "endpoints" else endpoint["config"])["inspect"] is False


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

    tunnel = NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
    (pid,) = agents_of(place)
    environment = Path(f"/proc/{pid}/environ").read_text()
    tunnel.close()

    assert "no_proxy=corp.example,127.0.0.1,localhost\0" in environment
    assert (os.environ.get("no_proxy"), os.environ["NO_PROXY"]) == (None, "corp.example")


def test_two_tunnels_of_one_process_have_an_agent_each(place, tunnel):
    """Left alone, pyngrok shares the first agent, whatever the settings of the second."""
    second = NgrokTunnel.open(LOCAL, settings(place), timings=QUICK)
    agents = agents_of(place)
    second.close()
    left = agents_of(place)

    assert (len(agents), len(left), second.url != tunnel.url) == (2, 1, True)
