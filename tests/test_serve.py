"""``smsquest serve`` as its user runs it: real processes, real HTTP, real signals."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from ports import reserved_port
from pretend_twilio import served
from program import COMMAND

from smsquest_cli import runs

FORM = {
    "MessageSid": "SM" + "1" * 32,
    "AccountSid": "AC" + "0" * 32,
    "From": "+12025550143",
    "To": "+12025550100",
    "Body": "hello",
    "NumMedia": "0",
}


def post(url, form, headers=()):
    """POST *form* to *url* and return status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request(
            "POST",
            parts.path,
            urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded", **dict(headers)},
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_message_in_the_sandbox_is_answered_and_the_reply_delivered(serve, smsquest):
    """The main job: an SMS arrives, TwiML goes back, the reply is queued, sent, delivered."""
    listener = serve("--sandbox", "--port", 0)
    ready = listener.ready

    texted = smsquest("simulate", "hello quest", "--pace", "instant")

    assert texted.returncode == 0, texted.stderr
    inbound = listener.wait_for("inbound", body="hello quest")
    reply = listener.wait_for("reply", in_reply_to=inbound["sid"])
    delivered = listener.wait_for("status", status="delivered", in_reply_to=inbound["sid"])
    assert (ready["mode"], ready["verify"], inbound["signature"]) == ("sandbox", True, "valid")
    assert [message["body"] for message in reply["messages"]] == ["You said: hello quest"]
    assert delivered["current"] == "delivered"


def test_a_replys_statuses_come_in_their_order(serve, smsquest_here):
    """The way of a reply is visible: queued, sent, delivered, each following the one before."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready

    smsquest_here("simulate", "hello", "--pace", "instant")
    listener.wait_for("status", status="delivered")

    statuses = [record for record in listener.records if record["type"] == "status"]
    assert [record["status"] for record in statuses] == ["queued", "sent", "delivered"]
    assert [record["previous"] for record in statuses[1:]] == ["queued", "sent"]


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGINT, 0, "interrupt"),
        (signal.SIGTERM, 143, "terminate"),
        (signal.SIGHUP, 129, "terminate"),
    ],
)
def test_a_signal_ends_it_with_its_code_and_last_record(serve, number, code, reason):
    """Ctrl-C is a normal end; a supervisor sees that it was its signal."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready

    assert listener.stop(number) == code, listener.stderr
    last = listener.records[-1]
    assert (last["type"], last["reason"], last["restored"]) == ("stopped", reason, None)
    assert "Traceback" not in listener.stderr


ONE_MORE_AT_THE_VERY_END = """
    import os, signal
    from smsquest_cli.__main__ import main

    class Last:
        def __del__(self, kill=os.kill, pid=os.getpid(), number=int(signal.SIGINT)):
            kill(pid, number)

    os.last = Last()  # goes when modules do, after the handlers
    main()
"""


def test_a_second_ctrl_c_at_the_end_changes_nothing(serve):
    """Whoever presses twice, quickly, still gets the clean stop, until Python itself is gone."""
    command = [sys.executable, "-c", textwrap.dedent(ONE_MORE_AT_THE_VERY_END)]
    listener = serve("--sandbox", "--port", 0, command=command)
    assert listener.ready

    listener.send(signal.SIGINT)
    listener.wait_for("stopped")
    listener.send(signal.SIGINT)

    assert listener.wait() == 0


def test_no_verify_is_said_loudly(serve):
    """The header says that anybody can send here."""
    listener = serve("--sandbox", "--port", 0, "--no-verify")
    assert listener.ready
    listener.stop()

    assert "NOT CHECKED" in listener.stderr


def test_sigint_works_in_a_shells_background_job(environment, tmp_path):
    """A background job of a shell ignores SIGINT; a serve there still stops by it."""
    script = 'trap "" INT; exec "$0" -m smsquest_cli serve --sandbox --port 0 -o json'
    process = subprocess.Popen(
        ["sh", "-c", script, sys.executable],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert json.loads(process.stdout.readline())["type"] == "ready"

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert process.returncode == 0


def test_the_ready_file_is_the_ready_record(serve, tmp_path):
    """A script learns from the file what a JSON reader learns from the stream."""
    listener = serve("--sandbox", "--port", 0, "--ready-file", tmp_path / "ready.json")

    ready = listener.ready

    assert json.loads((tmp_path / "ready.json").read_text()) == ready
    listener.stop()
    assert not (tmp_path / "ready.json").exists()


def test_a_ready_file_of_an_earlier_run_deceives_nobody(serve, tmp_path):
    """It is gone before anything of the new run can be asked for."""
    (tmp_path / "ready.json").write_text('{"pid": 4242, "type": "ready"}')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = serve("--sandbox", "--port", port, "--ready-file", "ready.json")

        assert failed.wait() == 7
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            "{body}",
            "{body} in --reply is no field that Twilio is known to send, so it stays empty. Did",
        ),
        (
            "{Weather}",
            "{Weather} in --reply is no field that Twilio is known to send, so it stays empty\n",
        ),
    ],
)
def test_a_placeholder_that_stays_empty_is_said_at_once(serve, template, said):
    """R18, with what was meant where that can be guessed; it may be a field of the user's own."""
    listener = serve("--sandbox", "--port", 0, "--reply", template, "--timeout", 0)

    assert listener.wait() == 8
    assert f"[R18]: {said}" in listener.stderr


@pytest.mark.parametrize(
    ("twiml", "found"),
    [
        ("<Response><message>hello</message></Response>", ["R15"]),
        ("<Response><Message to='{Frm}'>{Body}</Message></Response>", ["R18"]),
        ("<Response><Message to='{From}'><Media>{MediaUrl0}</Media></Message></Response>", []),
        ("<Response/>", []),
    ],
)
def test_what_twilio_would_ignore_in_a_document_is_said_at_once(serve, tmp_path, twiml, found):
    """A slip in ``--twiml`` is found before the first message comes."""
    (tmp_path / "reply.xml").write_text(twiml)
    listener = serve("--sandbox", "--port", 0, "--twiml", "reply.xml", "--timeout", 0)

    assert listener.wait() == 8
    assert [one["id"] for one in listener.records if one["type"] == "problem"] == [*found, "E1"]


def test_until_stops_after_that_many_messages(serve, smsquest_here):
    """``--until 2`` ends with 0 once two messages have come."""
    listener = serve("--sandbox", "--port", 0, "--until", 2)
    assert listener.ready

    smsquest_here("simulate", "one", "--count", 2, "--pace", "instant")

    assert listener.wait() == 0
    last = listener.records[-1]
    assert (last["reason"], last["inbound"]) == ("until", 2)


def test_an_api_key_cannot_check_signatures_anywhere(serve, environment):
    """C5: without a number to point, too, Twilio's own requests are not taken for forged ones."""
    key = {"TWILIO_API_KEY": "SK" + "2" * 32, "TWILIO_API_SECRET": "s" * 32}
    environment.update(key, TWILIO_ACCOUNT_SID="AC" + "1" * 32)

    listener = serve("--no-tunnel", "--port", 0)

    assert listener.ready["verify"] is False
    assert "warning[C5]" in listener.stderr


def test_until_waits_for_the_answer_of_a_slow_app(serve, smsquest_here):
    """The last message counts when Twilio has its answer, not when it has come."""

    def slow(_environ, start):
        threading.Event().wait(1.2)  # longer than a stopping run waits for what is under way
        start("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response><Message>at last</Message></Response>"]

    with served(slow) as app:
        listener = serve("--sandbox", "--port", 0, "--until", 1, "--forward-to", f"{app}/sms")
        assert listener.ready
        done = smsquest_here("simulate", "hello", "--expect", "at last")

        assert (done.returncode, listener.wait()) == (0, 0), done.stderr
    assert [one["type"] for one in listener.records[-2:]] == ["reply", "stopped"]


def test_until_counts_a_message_that_an_earlier_run_has_seen(serve, smsquest_here):
    """A job that texts with a fixed MessageSid ends every time, and twice is still once."""
    text = ("simulate", "hello", "--param", f"MessageSid=SM{'5' * 32}", "--pace", "instant")
    for count in (1, 2):
        listener = serve("--sandbox", "--port", 0, "--until", count, "--timeout", 20)
        assert listener.ready
        for _ in range(2):
            smsquest_here(*text)
        if count > 1:
            smsquest_here("simulate", "another", "--pace", "instant")

        assert listener.wait() == 0, listener.stderr
        came = [one for one in listener.records if one["type"] == "inbound"]
        assert came[-1]["body"] == ("hello" if count == 1 else "another")
        assert listener.records[-1]["inbound"] == count


def test_until_counts_only_what_matches(serve, smsquest_here):
    """``--match`` lets other messages pass uncounted."""
    listener = serve("--sandbox", "--port", 0, "--until", 1, "--match", r"\d{6}")
    assert listener.ready

    smsquest_here("simulate", "no code here", "--pace", "instant")
    listener.wait_for("reply")
    smsquest_here("simulate", "your code is 471100", "--pace", "instant")

    assert listener.wait() == 0
    assert listener.records[-1]["inbound"] == 2


def test_no_time_at_all_is_a_timeout_too(serve):
    """A job that computes how long it may wait gets no run without an end."""
    assert serve("--sandbox", "--port", 0, "--timeout", 0).wait() == 8


def test_a_ready_file_of_another_run_stays(serve, tmp_path):
    """Two jobs that name the same file by mistake: the first is not made unreachable."""
    first = serve("--sandbox", "--port", 0, "--ready-file", "ready.json")
    taken = urlsplit(first.ready["local_url"]).port
    second = serve("--sandbox", "--port", taken, "--ready-file", "ready.json")

    assert second.wait() == 7
    assert json.loads((tmp_path / "ready.json").read_text())["pid"] == first.process.pid


@pytest.mark.parametrize("place", ["missing/ready.json", ".", os.devnull])
def test_a_ready_file_that_could_not_be_written_is_found_at_once(smsquest, place):
    """Before anything is opened, and in one line."""
    done = smsquest("serve", "--sandbox", "--ready-file", place)

    assert done.returncode == 2
    assert f'error[U6]: --ready-file cannot be "{place}"' in done.stderr


def test_the_log_of_a_run_is_found_from_every_folder(serve, home):
    """A path given where the run was started means the same elsewhere."""
    running = serve("--sandbox", "--port", 0, "--store", "here.sqlite3")
    assert running.ready

    [run] = runs.running(home)

    assert Path(run.store).is_absolute()
    assert Path(run.store).exists()


def test_a_timeout_gives_up_with_8(serve):
    """Nothing in time is exit 8, with a problem that says what was missing."""
    listener = serve("--sandbox", "--port", 0, "--until", 1, "--timeout", "0.2")

    assert listener.wait() == 8
    assert [r["id"] for r in listener.records if r["type"] == "problem"] == ["E1"]
    assert listener.records[-1]["reason"] == "timeout"


def test_the_reply_takes_placeholders(serve, smsquest_here):
    """``--reply`` knows every parameter of the webhook."""
    listener = serve("--sandbox", "--port", 0, "--reply", "{From} wrote {Body} & <more>")
    assert listener.ready

    smsquest_here("simulate", "hi", "--pace", "instant")

    reply = listener.wait_for("reply")
    assert reply["messages"][0]["body"] == "+12025550143 wrote hi & <more>"


def test_no_reply_answers_with_an_empty_response(serve, smsquest_here):
    """``--no-reply`` accepts a message and sends nothing."""
    listener = serve("--sandbox", "--port", 0, "--no-reply")
    assert listener.ready

    smsquest_here("simulate", "hi", "--pace", "instant")

    reply = listener.wait_for("reply")
    assert (reply["messages"], reply["http_status"]) == ([], 200)


def test_a_twiml_file_is_the_reply(serve, smsquest_here, tmp_path):
    """``--twiml`` sends what the document says, with placeholders escaped for XML."""
    (tmp_path / "two.xml").write_text(
        "<Response><Message>one {Body}</Message><Message>two</Message></Response>"
    )
    listener = serve("--sandbox", "--port", 0, "--twiml", "two.xml")
    assert listener.ready

    smsquest_here("simulate", "a < b", "--pace", "instant")

    reply = listener.wait_for("reply")
    assert [message["body"] for message in reply["messages"]] == ["one a < b", "two"]


def test_an_unsigned_request_is_refused_and_said(serve):
    """A stranger gets 403; the stream says why."""
    listener = serve("--sandbox", "--port", 0)

    status, _ = post(listener.ready["webhook_url"], FORM)

    assert status == 403
    assert listener.wait_for("rejected")["reason"] == "unsigned"


def test_no_verify_accepts_it_as_unchecked(serve):
    """``--no-verify`` lets it in, and never calls it valid."""
    listener = serve("--sandbox", "--port", 0, "--no-verify")

    status, body = post(listener.ready["webhook_url"], FORM)

    assert (status, "You said: hello" in body) == (200, True)
    assert listener.wait_for("inbound")["signature"] == "unchecked"
    assert listener.ready["verify"] is False


def test_a_given_port_that_is_taken_is_exit_7_and_names_its_owner(serve):
    """Who has the port is said; nothing of the server's own words appears."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = serve("--sandbox", "--port", port)

        assert listener.wait() == 7
    assert re.search(rf"error\[A1\]: port {port} is taken \(.*pid \d+\)", listener.stderr)


@pytest.mark.parametrize(
    "options",
    [
        ("--sandbox", "--no-tunnel"),
        ("--sandbox", "--public-url", "https://example.com"),
        ("--sandbox", "--reply", "x", "--no-reply"),
        ("--sandbox", "--match", "x"),
        ("--sandbox", "--resign"),
        ("--sandbox", "--until", "1", "--match", "("),
        ("--sandbox", "--reply", "{"),
        ("--sandbox", "--twiml", "missing.xml"),
        ("--sandbox", "--forward-to", "localhost:5000"),
        ("--sandbox", "--timeout", "soon"),
        ("--sandbox", "--store", "redis://localhost"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(smsquest, options):
    """Bad input gets one line with an id and the next step."""
    done = smsquest("serve", *options)

    assert done.returncode == 2
    assert re.fullmatch(r"error\[U\d+\]: [^\n]+\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    ("options", "own"),
    [
        (("--sandbox",), "http://localhost:{port}"),
        (("--no-tunnel", "--public-url", "https://proxy.example"), "https://proxy.example"),
    ],
)
def test_forwarding_to_itself_is_refused(smsquest, options, own):
    """It would hand each message to itself without end, also by way of a proxy."""
    with reserved_port() as port:
        done = smsquest(
            "serve", *options, "--port", port, "--forward-to", f"{own.format(port=port)}/sms"
        )

    assert done.returncode == 2
    assert "error[U6]: --forward-to cannot be" in done.stderr
    assert "smsquest's own" in done.stderr


def test_without_an_account_the_sandbox_is_named(smsquest):
    """E1: no credentials is exit 3, and the way without an account is shown."""
    done = smsquest("serve")

    assert done.returncode == 3
    assert "error[C1]" in done.stderr
    assert "smsquest serve --sandbox" in done.stderr


def test_no_tunnel_serves_this_computer_only(serve, smsquest_here):
    """``--no-tunnel`` needs no account; simulate signs for it."""
    listener = serve("--no-tunnel", "--port", 0)
    ready = listener.ready

    done = smsquest_here("simulate", "hi", "--pace", "instant")

    assert done.returncode == 0, done.stderr
    assert (ready["mode"], ready["number"], ready["sandbox"]) == ("local", None, None)
    assert listener.wait_for("inbound")["signature"] == "valid"


def test_a_public_url_without_tunnel_is_what_signatures_are_checked_against(serve, smsquest_here):
    """``--no-tunnel --public-url``: somebody else's proxy is in front, and no number is touched."""
    listener = serve("--no-tunnel", "--public-url", "https://proxy.example.com", "--port", 0)
    assert listener.ready["webhook_url"] == "https://proxy.example.com/sms"

    done = smsquest_here("simulate", "hi", "--pace", "instant")

    assert done.returncode == 0, done.stderr
    assert listener.wait_for("inbound")["signature"] == "valid"


def test_the_lines_go_to_a_pipe_without_colour(environment, tmp_path, smsquest):
    """Off a terminal each event is a line of its own, and no terminal code is among them."""
    with (tmp_path / "sms.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "smsquest_cli", "serve", "--sandbox", "--port", "0",
             "--ready-file", "ready.json", "--until", "1"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.PIPE,
            env={**environment, "GITHUB_ACTIONS": "true"}, cwd=tmp_path,
        )  # fmt: skip
        line = process.stderr.readline()
        while line and not (tmp_path / "ready.json").exists():
            line = process.stderr.readline()
        smsquest("simulate", "hello", "--pace", "instant")
        rest = process.communicate(timeout=20)[1]

    written = (tmp_path / "sms.log").read_text()
    assert '"hello"' in written
    assert "\x1b" not in written
    assert b"\x1b" not in rest
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processes are of Unix")
def test_a_disk_that_takes_no_more_ends_the_run(serve):
    """Twilio hears 503, it is said once, and the exit code is that of the log."""
    shell = ["bash", "-c", 'ulimit -f 200; exec "$@"', "bash", *COMMAND]
    listener = serve("--no-tunnel", "--no-verify", "--port", 0, command=shell)
    form = {**FORM, "Body": "x" * 9000}

    answers = []
    while answers[-1:] != [503] and len(answers) < 100:
        form["MessageSid"] = f"SM{len(answers)}"
        status, _ = post(listener.ready["webhook_url"], form)
        answers.append(status)

    assert answers[-1] == 503
    assert listener.wait() == 7
    assert listener.stderr.count("error[L1]") == 1
    confirmed = [f"SM{number}" for number, status in enumerate(answers) if status == 200]
    assert [r["sid"] for r in listener.records if r["type"] == "inbound"] == confirmed


def test_a_log_that_is_damaged_meanwhile_ends_the_run_and_is_kept(serve, environment):
    """Nobody works on with a log that cannot be read; the next run sets it aside and receives."""
    first = serve("--no-tunnel", "--no-verify", "--port", 0)
    post(first.ready["webhook_url"], FORM)
    first.wait_for("reply")
    database = Path(environment["SMSQUEST_HOME"], "events.sqlite3")
    for path in (database, database.with_name(f"{database.name}-wal")):
        with path.open("r+b") as file:
            file.write(b"x" * path.stat().st_size)

    with suppress(OSError):  # it may be too late already
        post(first.ready["webhook_url"], {**FORM, "MessageSid": "SM2"})
    assert first.wait() == 7
    assert first.stderr.count("error[L1]") == 1
    assert "it is damaged" in first.stderr

    second = serve("--no-tunnel", "--no-verify", "--port", 0)
    assert second.wait_for("problem", id="L2")["severity"] == "warning"
    post(second.ready["webhook_url"], {**FORM, "MessageSid": "SM3"})
    assert second.wait_for("inbound")["sid"] == "SM3"
    assert second.stop() == 0
    assert second.stderr.count("warning[L2]") == 1
    assert [*database.parent.glob(f"{database.name}.damaged-*")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), 'reply     "You said: {Body}"   (another: --reply'),
        (("--reply", "thanks"), 'reply     "thanks"'),
        (("--no-reply",), "reply     none (an empty <Response/>)"),
        (
            ("--forward-to", "{app}/sms"),
            "app       {app}/sms gets every message\n",
        ),
        (
            ("--forward-to", "{app}/hook"),
            "message   (if it checks signatures: --resign, as Twilio signs /sms)\n",
        ),
        (
            ("--forward-to", "{app}/hook", "--resign"),
            "app       {app}/hook gets every message\n",
        ),
    ],
)
def test_the_header_says_what_answers(nobody, serve, options, words):
    """Whoever wonders where the replies come from finds it there."""
    given = [option.replace("{app}", nobody) for option in options]
    listener = serve("--sandbox", "--port", 0, *given)
    assert listener.ready
    listener.stop()

    assert words.replace("{app}", nobody) in listener.stderr
