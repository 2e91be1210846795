"""``smsquest doctor``: what stands in the way, how to put it right; nothing is changed."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from ports import closed_port
from pretend_twilio import pretend_twilio, served

from smsquest_cli.console import Output
from smsquest_cli.doctor import Check, account, check_up, computer
from smsquest_cli.events import Ready, SandboxAccount
from smsquest_cli.journal import Journal, JournalEntry
from smsquest_cli.runs import Run, announced
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, PHONE
from smsquest_cli.views.doctor import show_checks

OLD = "https://api.shop.example/sms"


@pytest.fixture
def twilio(tmp_path):
    with pretend_twilio(tmp_path, http=False) as twilio:
        yield twilio


@pytest.fixture
def doctor(twilio, tmp_path, monkeypatch):
    """What the doctor finds: ``doctor(NGROK_AUTHTOKEN="x")`` is the list of checks by id."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(account, "TwilioGateway", twilio.connected)
    for name in ("XDG_CONFIG_HOME", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)

    def doctor(options=None, **variables):
        environment = {"PATH": os.environ["PATH"], **twilio.environment, **variables}
        checks = check_up(
            twilio.settings(options, **variables),
            environment=environment,
            cwd=tmp_path,
            now=lambda: datetime.now(UTC),
        )
        found = {}
        for check in checks:
            found.setdefault(check.id, check)
        return found

    return doctor


@pytest.fixture
def agent(tmp_path):
    """A program that says it is ngrok."""
    path = tmp_path / "my-ngrok"
    path.write_text("#!/bin/sh\necho ngrok version 3.30.0\n")
    path.chmod(0o755)
    return str(path)


def a_run(url="http://127.0.0.1:5/sms", *, sandbox=None, port=5, number=NUMBER):
    ready = Ready(
        ts=datetime.now(UTC), mode="tunnel", pid=os.getpid(), number=number, webhook_url=url,
        status_url=url.replace("/sms", "/status"), local_url=f"http://127.0.0.1:{port}",
        sandbox=sandbox,
    )  # fmt: skip
    return Run("run", ready, "events.sqlite3")


def states(checks):
    return {check.id: check.state for check in checks.values()}


def test_all_is_well(twilio, doctor, agent):
    """Each thing that is right is said to be, with its source; nothing was changed."""
    checks = doctor(NGROK_AUTHTOKEN="2abcSECRET", PYNGROK_NGROK_PATH=agent)

    assert set(states(checks).values()) == {"ok"}
    assert checks["credentials"].line == "AC00…00 by auth token; 1 number"
    assert checks["credentials"].source == "environment"
    assert checks["signatures"].line == "checked with the auth token"
    assert checks["account"].line == 'full account "smsquest sandbox", active'
    assert checks["number"].line == NUMBER
    assert checks["route"].line == "the number itself answers"
    assert checks["webhook"].line == "no webhook: free to use"
    assert checks["alerts"].line == "Twilio had nothing against it for 24 h"
    assert checks["clock"].line == "agrees with Twilio's"
    assert checks["ngrok"].line == f"3.30.0 ({agent})"
    assert twilio.updates() == []
    assert "SECRET" not in str(checks)


# Credentials and account


def test_without_credentials_the_rest_is_still_looked_at(doctor):
    """C1, and what needs an account is skipped."""
    checks = doctor(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="")

    assert (checks["credentials"].state, "[C1]" in checks["credentials"].line) == ("problem", True)
    assert checks["credentials"].fix
    assert {states(checks)[id_] for id_ in ("number", "route", "webhook", "alerts", "clock")} == {
        "skipped"
    }
    assert checks["journal"].state == "ok"


def test_a_sandbox_needs_neither_credentials_nor_a_tunnel(doctor, twilio):
    """Somebody who only practises is told so, and finds nothing wrong."""
    sandbox = SandboxAccount(
        api_url=twilio.origin, account_sid=ACCOUNT_SID, number=NUMBER, phone=PHONE
    )
    with announced(twilio.folder / "state", a_run(sandbox=sandbox)):
        checks = doctor(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="")

    assert checks["credentials"].state == "ok"
    assert "needs none" in checks["credentials"].line
    assert checks["ngrok-token"].state == "skipped"
    assert [one.id for one in checks.values() if one.state == "problem"] == []


def test_refused_credentials(doctor):
    """C2 with the source; the rest of the account is skipped."""
    checks = doctor(TWILIO_AUTH_TOKEN="f" * 32)

    assert "(20003)" in checks["credentials"].line
    assert checks["credentials"].source == "environment"
    assert checks["number"].line == "the credentials do not work"


def test_a_twilio_that_does_not_answer_says_nothing_about_the_credentials(doctor, twilio):
    """W3 is a problem of its own; what needs an account is skipped for that reason."""
    twilio.faults.add("GET", ".*", status=503, times=None)

    checks = doctor()

    assert (checks["twilio"].state, "[W3]" in checks["twilio"].line) == ("problem", True)
    assert {
        (checks[id_].state, checks[id_].line) for id_ in ("credentials", "number", "clock")
    } == {("skipped", "Twilio does not answer")}


def test_an_api_key(doctor, twilio):
    """It works; signatures cannot be checked (C5), the account not be read (C3)."""
    checks = doctor(**{**twilio.by_key(), "TWILIO_AUTH_TOKEN": ""})

    assert "by API key SK" in checks["credentials"].line
    assert (checks["signatures"].state, "[C11]" in checks["signatures"].line) == ("problem", True)
    assert checks["account"].state == "skipped"
    assert "[C3]" in checks["account"].line


def test_a_key_without_a_token(twilio, doctor, monkeypatch):
    """C5 is a problem here: forged messages would be accepted."""
    key = twilio.by_key()
    del key["TWILIO_AUTH_TOKEN"]
    environment = {k: v for k, v in twilio.environment.items() if k != "TWILIO_AUTH_TOKEN"}
    monkeypatch.setattr(type(twilio), "environment", environment)

    assert "[C5]" in doctor(**key)["signatures"].line
    shared = doctor(**key, SMSQUEST_WEBHOOK_SECRET="s")["signatures"]
    assert (shared.state, shared.line) == ("ok", "checked with the shared key's secret")


def test_another_account_in_the_env_file(doctor, twilio):
    """C10: two sources disagree; which one is used is said."""
    (twilio.folder / ".env").write_text(f"TWILIO_ACCOUNT_SID=AC{'8' * 32}\n")

    assert doctor()["sources"].line.endswith("[C10]")


def test_a_trial_account(doctor, twilio):
    """D6: whom replies can reach."""
    twilio.account.kind = "trial"

    assert "[D6]" in doctor()["account"].line


def test_an_account_that_cannot_be_read(doctor, twilio):
    """The rest goes on."""
    twilio.faults.add("GET", f"/Accounts/{ACCOUNT_SID}.json", status=503, times=None)

    checks = doctor()

    assert (checks["account"].state, checks["number"].state) == ("problem", "ok")


# The number


def test_a_number_that_is_not_there(doctor):
    """N2; what depends on it is skipped."""
    checks = doctor({"number": "+12025550191"})

    assert (checks["number"].state, checks["number"].source) == ("problem", "--number")
    assert {states(checks)[id_] for id_ in ("route", "webhook", "alerts")} == {"skipped"}


def test_several_numbers(doctor, twilio):
    """Without knowing which one is meant nothing is wrong; a running serve's number is."""
    dev = twilio.account.add_number("+12025550102", friendly_name="dev")

    checks = doctor()
    assert (checks["number"].state, checks["number"].fix) == ("skipped", "Give --number.")
    with announced(twilio.folder / "state", a_run(number=dev.phone_number)):
        assert doctor()["number"].line == "+12025550102 (dev)"


@pytest.mark.parametrize(("answers", "id_"), [(True, "N4"), (False, "N5")])
def test_a_messaging_service(nobody, doctor, twilio, answers, id_):
    """N4, N5: the number's own webhook is not called."""
    fields = {"inbound_request_url": f"{nobody}/sms"} if answers else {}
    twilio.account.add_service("shop", NUMBER, **fields)

    check = doctor()["route"]

    assert (check.state, f"[{id_}]" in check.line) == ("problem", True)


def test_a_twiml_app(doctor, twilio):
    """N6: serve takes care of it."""
    app = twilio.account.add_application()
    twilio.number.sms_application_sid = app.sid

    check = doctor()["route"]

    assert (check.state, "[N6]" in check.line) == ("ok", True)


def test_a_conversation(doctor, twilio):
    """N17: messages may not come here at all."""
    twilio.account.add_address(NUMBER)

    check = doctor()["route"]

    assert (check.state, check.fix) == ("problem", "Switch auto-creation off.")


def test_another_region(doctor):
    """N12 is said."""
    assert "[N12]" in doctor(TWILIO_REGION="ie1")["region"].line


def test_where_a_key_may_not_look(doctor, twilio):
    """What cannot be looked into is skipped, with the reason."""
    twilio.faults.add("GET", "/v1/", status=403, times=None)

    checks = doctor()

    assert checks["route"].state == "skipped"
    assert checks["alerts"].state == "skipped"


def test_twilio_in_trouble(doctor, twilio):
    """W3 where it happens."""
    twilio.faults.add("GET", "/v1/Services", status=503, times=None)
    assert "[W3]" in doctor()["route"].line

    twilio.faults.clear()
    twilio.faults.add("GET", "/v1/Alerts", status=503, times=None)
    assert "[W3]" in doctor()["alerts"].line


# What is at its URL


def answering(**headers):
    """An app that answers everything, and the paths it was asked for."""
    asked = []

    def app(environ, start):
        asked.append(environ["PATH_INFO"])
        start("200 OK", [("Content-Type", "text/plain"), *headers.items()])
        return [b"ok"]

    return app, asked


def test_an_app_is_not_called_to_see_whether_it_is_there(doctor, twilio):
    """A connection is enough: a message must not be made up."""
    app, asked = answering()
    with served(app) as origin:
        twilio.number.sms_url = f"{origin}/sms"
        check = doctor()["webhook"]

    assert check.state == "ok"
    assert check.line.endswith("an address in a private network, and it is there")
    assert asked == []


def test_nobody_at_the_url(doctor, twilio):
    """Whoever was there is gone."""
    with closed_port() as port:
        twilio.number.sms_url = f"http://127.0.0.1:{port}/sms"
        check = doctor()["webhook"]

    assert check.state == "problem"
    assert "nobody is there (" in check.line
    assert "--restore" in check.fix


@pytest.mark.parametrize("url", ["http://[broken/sms", "http://127.0.0.1:99999/sms"])
def test_what_is_no_url_has_nobody_there(doctor, twilio, url):
    """Twilio stores many things."""
    twilio.number.sms_url = url

    assert doctor()["webhook"].state == "problem"


def test_a_private_address_is_out_of_twilios_reach(twilio, tmp_path, monkeypatch):
    """N9, where Twilio is the real one."""
    from smsquest_cli.diagnosis import Route
    from smsquest_cli.twilio_api import PhoneNumber

    monkeypatch.chdir(tmp_path)
    number = PhoneNumber(sid="PN1", phone_number=NUMBER, sms_url="http://192.168.1.2/sms")

    assert "[N9]" in account._fault_at(Route(number=number), may_be_local=False)
    assert twilio.requests == []


@pytest.mark.parametrize(
    ("headers", "state"), [({"Ngrok-Error-Code": "ERR_NGROK_3200"}, "problem"), ({}, "ok")]
)
def test_a_tunnel_is_asked_for_what_nobody_minds(doctor, twilio, monkeypatch, headers, state):
    """Its host is always there; ngrok says whether the tunnel is."""
    from smsquest_cli import webhook_urls

    app, asked = answering(**headers)
    monkeypatch.setattr(webhook_urls, "TUNNELS", ("127.0.0.1",))
    with served(app) as origin:
        twilio.number.sms_url = f"{origin}/sms"
        check = doctor()["webhook"]

    assert check.state == state
    assert asked == ["/healthz"]


def test_our_own_run_is_recognised(doctor, twilio):
    """The URL of the running serve is ours."""
    app, _ = answering()
    with served(app) as origin:
        twilio.number.sms_url = f"{origin}/sms"
        with announced(twilio.folder / "state", a_run(f"{origin}/sms")):
            checks = doctor()

    assert f"the running serve, pid {os.getpid()}" in checks["webhook"].line
    assert f"pid {os.getpid()} at {origin}/sms" in checks["serve"].line


def test_behind_a_proxy_other_urls_are_not_tried(doctor, twilio):
    """What this computer cannot reach Twilio may."""
    twilio.number.sms_url = OLD

    checks = doctor(https_proxy="http://u:hush@proxy.example:3128")

    assert checks["webhook"].state == "skipped"
    assert checks["proxy"].line == "https_proxy=http://***@proxy.example:3128"
    assert checks["proxy"].state == "ok"


def test_ngrok_does_not_like_http_proxy(doctor):
    """T21: its free plan does not work through one."""
    check = doctor(HTTP_PROXY="http://proxy.example:3128")["proxy"]

    assert (check.state, "[T21]" in check.line) == ("problem", True)


def test_errors_that_twilio_logged(nobody, doctor, twilio):
    """How many for our URL, the usual one, and where to read on."""
    twilio.number.sms_url = ours = f"{nobody}/sms"
    for code, url in ((11200, ours), (11200, ours), (12100, ours), (30003, OLD)):
        twilio.account.add_alert(code, "x", "SM1", request_url=url)

    check = doctor()["alerts"]

    assert check.state == "problem"
    assert check.line.startswith("3 errors in 24 h, most of them 11200 (")
    assert check.fix == "smsquest explain 11200"


@pytest.mark.parametrize(
    ("ahead", "line"),
    [(timedelta(minutes=7), "7 min ahead of Twilio's"), (timedelta(hours=-1), "60 min behind")],
)
def test_a_wrong_clock(doctor, monkeypatch, ahead, line):
    """T13 before it happens."""
    told = format_datetime(datetime.now(UTC) - ahead, usegmt=True)
    monkeypatch.setattr("pretend_twilio.formatdate", lambda **_: told)

    check = doctor()["clock"]

    assert check.state == "problem"
    assert check.line.startswith(line)


def test_no_time_is_no_wrong_time(doctor, monkeypatch):
    """Some servers tell none."""
    monkeypatch.setattr("pretend_twilio.formatdate", lambda **_: "")

    assert doctor()["clock"].state == "skipped"


# This computer


def write_entry(twilio, **fields):
    journal = Journal(twilio.folder / "state")
    entry = journal.taken_over(
        JournalEntry(
            sid=twilio.number.sid, number=NUMBER, account_sid=ACCOUNT_SID,
            original={"sms_url": OLD}, ours=("https://x.ngrok.app/sms",),
            started=datetime.now(UTC), pid=0,
        )
    )  # fmt: skip
    journal.write(replace(entry, **fields), replacing=None)
    return journal


def test_a_journal_that_waits(doctor, twilio):
    """M3 and its cure; damaged files too."""
    journal = write_entry(twilio, process="long gone")

    check = doctor()["journal"]
    assert check.state == "problem"
    assert "smsquest configure-number --restore" in check.fix
    assert "[M3]" in check.line
    [path] = journal.folder.glob("PN*.json")
    path.write_text("garbage")
    assert f"{path} cannot be read" in doctor()["journal"].line


def test_a_journal_that_is_in_use(doctor, twilio):
    """A number that is pointed here now, or was left so on purpose, is no problem."""
    write_entry(twilio)
    assert doctor()["journal"].line == f"{NUMBER} is pointed here, before: {OLD}"

    shutil.rmtree(twilio.folder / "state" / "journal")
    write_entry(twilio, kept=True)
    assert "left here on purpose" in doctor()["journal"].line


def test_without_an_agent_it_is_fetched_later(doctor, tmp_path):
    """Not being installed is no problem; having no authtoken is (T1)."""
    checks = doctor(PATH=str(tmp_path))

    assert checks["ngrok"].line == "not installed; the first serve fetches it"
    assert (checks["ngrok-token"].state, "[T1]" in checks["ngrok-token"].line) == ("problem", True)


def test_a_system_that_ngrok_does_not_know(doctor, monkeypatch):
    """T16, and what else there is to look at is looked at."""
    monkeypatch.setattr("platform.system", lambda: "SunOS")

    checks = doctor()

    assert (checks["ngrok"].state, "[T16]" in checks["ngrok"].line) == ("problem", True)
    assert {"port", "proxy", "store", "env-file"} <= checks.keys()


def test_an_agent_that_cannot_be_used(doctor, tmp_path):
    """T16 names the setting's source."""
    check = doctor(PYNGROK_NGROK_PATH=str(tmp_path / "nothing"))["ngrok"]

    assert (check.state, check.source, "[T16]" in check.line) == ("problem", "environment", True)


@pytest.mark.parametrize(
    ("content", "state"),
    [("version: 3\nagent:\n  authtoken: abc\n", "ok"), ("version: 3\nagent: {}\n", "problem"),
     ("][", "problem")],
)  # fmt: skip
def test_the_agents_own_settings(doctor, monkeypatch, tmp_path, content, state):
    """An authtoken in `ngrok.yml` is as good; a file that cannot be read is T20."""
    from smsquest_cli.tunnel import agent_config

    monkeypatch.setattr(agent_config, "agent_folder", lambda: tmp_path)
    (tmp_path / "ngrok.yml").write_text(content)

    check = doctor()["ngrok-token"]

    assert check.state == state
    assert "abc" not in check.line
    if state == "ok":
        assert check.source == str(tmp_path / "ngrok.yml")


def test_the_port(doctor, twilio, monkeypatch):
    """Taken or not, serve finds one; whose it is is said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(computer, "DEFAULT_PORT", port)
        line = doctor()["port"].line
    assert line.startswith(f"port {port} is taken (")
    assert line.endswith("; another is used")
    with announced(twilio.folder / "state", a_run(port=port)):
        assert doctor()["port"].line.endswith(f"the running serve, pid {os.getpid()}")
    assert doctor()["port"].line == f"{port} is free"


def test_a_place_for_events_that_cannot_be_written(doctor, tmp_path):
    """L1; looking makes no file."""
    (tmp_path / "folder").mkdir()

    assert "it is a folder" in doctor(SMSQUEST_STORE=str(tmp_path / "folder"))["store"].line
    assert "[U6]" in doctor(SMSQUEST_STORE="postgres://u:p@h/db")["store"].line
    fine = doctor(SMSQUEST_STORE=f"sqlite:///{tmp_path}/new/deep/x.db")["store"]
    assert (fine.state, fine.source) == ("ok", "environment")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_for_events_that_may_not_be_written(doctor, tmp_path):
    """L1 before the first message comes."""
    (tmp_path / "folder").mkdir(mode=0o500)

    check = doctor(SMSQUEST_STORE=str(tmp_path / "folder" / "x.db"))["store"]

    assert (check.state, "[L1]" in check.line) == ("problem", True)


def test_a_folder_without_the_right_to_write(doctor, tmp_path, monkeypatch):
    """Who may write where is the system's to say."""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    check = doctor(SMSQUEST_STORE=str(tmp_path / "x.db"))["store"]

    assert f"({tmp_path} cannot be written)" in check.line


def test_a_disk_without_room_for_events(doctor, tmp_path, monkeypatch):
    """L3, before the first message is lost for it."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))

    check = doctor(SMSQUEST_STORE=str(tmp_path / "x.db"))["store"]

    assert (check.state, check.line.endswith("[L3]")) == ("problem", True)


def test_a_broken_file_of_the_twilio_cli(doctor, tmp_path):
    """The other commands find no profile there; why that is, is said here."""
    (tmp_path / ".twilio-cli").mkdir()
    file = tmp_path / ".twilio-cli" / "config.json"
    file.write_text('{"profiles": {"work": {}, "home": {}}}')
    assert doctor()["profiles"].line == "home, work"
    file.write_text("{bad")

    check = doctor()["profiles"]

    assert check.state == "problem"
    assert check.line.startswith(f"{file} cannot be read (no JSON: ")


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_secrets_in_git(doctor, tmp_path):
    """C9: a `.env` that everybody gets; one that is ignored is fine."""
    (tmp_path / ".env").write_text("NGROK_AUTHTOKEN=x\n")
    assert doctor()["env-file"].line == ".env is not tracked by git"
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".env")

    check = doctor()["env-file"]

    assert (check.state, check.line.endswith("[C9]")) == ("problem", True)
    assert doctor(NGROK_AUTHTOKEN="y")["env-file"].state == "ok"


def test_without_git_nothing_is_said_of_it(doctor, tmp_path):
    """There is nobody to ask, or no answer."""
    (tmp_path / ".env").write_text("NGROK_AUTHTOKEN=x\n")
    assert doctor(PATH=str(tmp_path))["env-file"].line == "there is no git to ask"
    (tmp_path / "git").write_text("no program")
    (tmp_path / "git").chmod(0o755)
    (tmp_path / ".env").write_text("NGROK_AUTHTOKEN=x\n")

    assert doctor(PATH=str(tmp_path))["env-file"].line == "git did not answer"


# On the screen


CHECKS = [
    Check(id="credentials", state="ok", line="AC00…00 by auth token", source=".env line 2"),
    Check(id="route", state="skipped", line="no number to look at", fix="not shown"),
    Check(id="webhook", state="problem", line="POST https://x.example/\x1b[2J: nobody is there, "
          "and this line is long", fix="Point the number somewhere else."),
]  # fmt: skip


def test_lines_off_a_terminal(capsys):
    """One line each, unwrapped, without colour; what a terminal would obey is shown."""
    assert show_checks(CHECKS, Output.TABLE) == 1

    assert capsys.readouterr().out.splitlines() == [
        "ok       credentials  AC00…00 by auth token  (.env line 2)",
        "skipped  route        no number to look at",
        "problem  webhook      POST https://x.example/␛[2J: nobody is there, and this line is long",
        "                      fix: Point the number somewhere else.",
        "",
        "1 problem",
    ]


def test_forced_colour_is_the_only_thing_that_a_pipe_gets_more(monkeypatch, capsys):
    """FORCE_COLOR, for a pager: the state has its colour, and no line is wrapped."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)

    show_checks(CHECKS, Output.TABLE)

    first, *_ = capsys.readouterr().out.splitlines()
    assert first == "\x1b[32mok       \x1b[0mcredentials  AC00…00 by auth token  (.env line 2)"


def test_a_source_that_the_line_names_is_not_named_twice(capsys):
    """C2 says it itself."""
    line = "refused. Source: environment. Compare [C2]"
    show_checks([Check(id="x", state="ok", line=line, source="environment")], Output.TABLE)

    assert capsys.readouterr().out.startswith(f"ok       x            {line}\n")


def test_lines_on_a_terminal(monkeypatch):
    """They are wrapped under their text, and the state has a colour beside its word."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert show_checks([*CHECKS, CHECKS[2]], Output.TABLE) == 2

    shown = terminal.getvalue()
    assert "\x1b[32mok       \x1b[0m" in shown
    assert "\x1b[2J" not in shown
    assert "\n" + " " * 22 + "there, and this line is long\n" in shown
    assert shown.endswith("\n\n2 problems\n")


def test_one_document_for_programs(capsys):
    """`{checks: [{id, state, line, fix, source}]}`."""
    assert show_checks(CHECKS[:2], Output.JSON) == 0

    document = json.loads(capsys.readouterr().out)
    assert [*document] == ["checks"]
    assert document["checks"][0] == {
        "id": "credentials", "state": "ok", "line": "AC00…00 by auth token", "fix": None,
        "source": ".env line 2",
    }  # fmt: skip


def test_the_command(smsquest_here, agent, tmp_path):
    """Exit 0 where all is well, 1 where something is not."""
    with pretend_twilio(tmp_path) as twilio:
        fine = {**twilio.environment, "NGROK_AUTHTOKEN": "x", "PYNGROK_NGROK_PATH": agent}
        well = smsquest_here("doctor", env=fine)
        ill = smsquest_here("doctor", "--number", "+12025550191", "-o", "json", env=fine)

    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "all is well")
    assert ill.returncode == 1
    bad = [check["id"] for check in json.loads(ill.stdout)["checks"] if check["state"] == "problem"]
    assert bad == ["number"]
    assert twilio.updates() == []
