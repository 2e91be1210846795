"""``smsquest serve`` with a real number: pointed here, and put back whatever happens.

The account is the pretend Twilio over HTTP, below the real SDK; processes and signals are real.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pytest
from fake_ngrok.place import wait_for
from ports import closed_port
from pretend_twilio import pretend_twilio
from program import COMMAND

from smsquest_cli import processes
from smsquest_cli.eventlog import LogEntry, open_log
from smsquest_cli.events import Inbound
from smsquest_cli.sandbox import NUMBER

OLD = "https://demo.twilio.com/welcome/sms/reply"
PRODUCTION = "https://api.shop.example/sms"
FAKE_NGROK = Path(__file__).parent / "fake_ngrok" / "fake_ngrok.py"


@pytest.fixture
def twilio(tmp_path, environment):
    """An account with one number that answers with Twilio's demo."""
    with pretend_twilio(tmp_path, webhook_url=OLD) as account:
        environment.update(account.environment, SMSQUEST_HOME=environment["SMSQUEST_HOME"])
        yield account


def test_the_number_is_pointed_here_and_put_back(serve, twilio, address):
    """While it serves the number calls us; after Ctrl-C it is as it was, read back."""
    listener = serve(*address)
    ready = listener.ready

    assert (ready["mode"], ready["number"]) == ("public", NUMBER)
    assert twilio.number.sms_url == ready["webhook_url"]
    assert listener.stop() == 0, listener.stderr
    assert twilio.number.sms_url == OLD
    assert listener.records[-1]["restored"] is True
    actions = [r["action"] for r in listener.records if r["type"] == "number"]
    assert actions == ["pointed", "restored"]


def test_only_the_sms_webhook_is_written(serve, twilio, address):
    """No other field of the number, and nothing else of the account, is touched."""
    listener = serve(*address)
    assert listener.ready
    listener.stop()

    assert {request.split()[1].rsplit("/", 1)[1] for request in twilio.updates()} == {
        f"{twilio.number.sid}.json"
    }


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_every_signal_puts_it_back(serve, twilio, address, number, code):
    """Ctrl-C, a supervisor's SIGTERM and a closed terminal all restore."""
    listener = serve(*address)
    assert listener.ready

    assert listener.stop(number) == code, listener.stderr
    assert twilio.number.sms_url == OLD


@pytest.fixture
def abandoned(environment, tmp_path, twilio, address):
    """A ``serve`` whose reader goes: ``abandoned(window=True)`` closes its terminal.

    Or a pipe is closed, as when Ctrl-C ends both of ``serve -o json | jq``. A second signal comes
    while the number is put back, which Twilio may *refuse*. Gives the exit code; what is said on
    standard error goes to the file *said*, if there is one.
    """
    started = []

    def abandon(*, window, said=None, refuse=False):
        reader, writer = pty.openpty() if window else os.pipe()
        listener = subprocess.Popen(
            [*COMMAND, "serve", *map(str, address), "--output", "table" if window else "json"],
            stdin=subprocess.DEVNULL, stdout=writer, stderr=said or writer,
            cwd=tmp_path, env=environment, start_new_session=True,
        )  # fmt: skip
        started.append(listener)
        os.close(writer)
        shown = b""
        while (b"waiting for the first" if window else b'"type": "ready"') not in shown:
            shown += (more := os.read(reader, 1 << 16))
            assert more, shown
        if refuse:
            twilio.faults.add("POST", ".*IncomingPhoneNumbers.*", status=401, times=None)
        answer = twilio.sandbox.app.wsgi_app

        def insisting(environ, start):
            if len(begun) == 1:
                begun.append(environ)
                listener.send_signal(number)
                threading.Event().wait(0.3)  # Twilio takes its time: it is handled meanwhile
            return answer(environ, start)

        begun, number = [None], signal.SIGHUP if window else signal.SIGINT
        twilio.sandbox.app.wsgi_app = insisting
        os.close(reader)
        listener.send_signal(number)
        return listener.wait(40)

    yield abandon
    for listener in started:
        listener.kill()
        listener.wait()


@pytest.mark.parametrize(("window", "code"), [(True, 129), (False, 0)])
def test_it_is_put_back_though_nobody_hears_of_it(abandoned, smsquest_here, twilio, window, code):
    """Neither a closed terminal nor a pipe whose reader has died ends what is put back."""
    assert abandoned(window=window) == code
    assert twilio.number.sms_url == OLD

    stopped = smsquest_here("log", "--type", "stopped", "-o", "json").stdout
    assert json.loads(stopped)["restored"] is True


@pytest.mark.parametrize("window", [True, False])
def test_a_number_that_stays_is_9_whoever_reads(abandoned, smsquest_here, tmp_path, window):
    """M1 is said, and the last record is in the log, also when standard output leads nowhere."""
    with (tmp_path / "said").open("w+b") as said:
        assert abandoned(window=window, said=said, refuse=True) == 9
        said.seek(0)
        assert b"error[M1]" in said.read()

    stopped = smsquest_here("log", "--type", "stopped", "-o", "json").stdout
    assert json.loads(stopped)["restored"] is False


def test_when_nothing_comes_the_likely_reasons_are_named_in_order(serve, twilio, address):
    """E1: a test job that waited in vain says where to look first, and leaves no trace."""
    listener = serve(*address, "--until", 1, "--timeout", "0.2")

    assert listener.wait() == 8, listener.stderr
    told = re.findall(r"\((\w\d)\)", listener.wait_for("problem", id="E1")["line"])
    assert told == ["N4", "N5", "M4", "T6"]
    assert twilio.number.sms_url == OLD


def test_a_message_comes_in_and_is_verified_with_the_accounts_token(serve, twilio, address):
    """Twilio signs with the Auth Token for the public URL; that is what is checked."""
    listener = serve(*address)
    assert listener.ready

    exchange = twilio.sandbox.play("hello")

    assert exchange.answer.status == 200
    assert listener.wait_for("inbound", body="hello")["signature"] == "valid"
    assert listener.wait_for("status", status="delivered")["in_reply_to"] == exchange.sid


def test_a_no_changes_nothing_and_says_no_more(environment, tmp_path, twilio, address):
    """D5: on a terminal it asks, in whole words; the default is No, which is no error."""
    twilio.number.sms_url = PRODUCTION
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "smsquest_cli", "serve", *map(str, address)],
        env=environment,
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=20,
        dimensions=(24, 80),
    )
    terminal.expect(r"\[y/N\] ")
    asked = terminal.before
    terminal.sendline("")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert "confirm[N8]" in asked
    assert max(map(len, asked.splitlines())) <= 80
    assert terminal.before.split("\n", 1)[1].strip() == "nothing changed."
    assert terminal.exitstatus == 5
    assert twilio.updates() == []


def test_after_kill_9_the_next_start_says_so_and_puts_the_original_back(serve, twilio, address):
    """M3: the original in the journal wins over the dead URL that the number shows."""
    killed = serve(*address)
    assert killed.ready
    assert killed.stop(signal.SIGKILL) == -9
    assert twilio.number.sms_url != OLD

    listener = serve(*address)
    assert listener.ready
    assert listener.stop() == 0, listener.stderr

    assert "note[M3]" in listener.stderr
    assert twilio.number.sms_url == OLD


@pytest.mark.usefixtures("twilio")
def test_any_command_says_one_line_while_a_number_waits(serve, smsquest_here, address):
    """A stale journal is never silent."""
    killed = serve(*address)
    assert killed.ready
    killed.stop(signal.SIGKILL)

    done = smsquest_here("explain", "30007")

    assert done.returncode == 0
    assert done.stderr.count("note[M3]") == 1
    assert "configure-number --restore" in done.stderr


def test_restore_puts_it_back_after_a_crash(serve, smsquest_here, twilio, address):
    """E9: one command, read back; a second time there is nothing to do."""
    killed = serve(*address)
    assert killed.ready
    killed.stop(signal.SIGKILL)

    first = smsquest_here("configure-number", "--restore")
    second = smsquest_here("configure-number", "--restore")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert twilio.number.sms_url == OLD


def test_backfill_lists_what_came_while_nobody_listened(serve, twilio, address, home):
    """--backfill: found by the API, marked as missed, and not counted as received.

    What an earlier run received was not missed, nor what somebody sent to the number by the API.
    """
    twilio.number.sms_url = ""
    received = twilio.sandbox.play("I am known")
    with closing(open_log(home / "events.sqlite3", run="earlier")) as log:
        log.append(
            LogEntry(
                Inbound(
                    ts=datetime.now(UTC), sid=received.sid, from_=received.from_, to=NUMBER,
                    body=received.body, method="POST",
                )
            )
        )  # fmt: skip
    logged = twilio.account.copy_of(twilio.account.message(received.sid))
    twilio.account.add_message(replace(logged, sid="SM" + "2" * 32, direction="outbound-api"))
    missed = twilio.sandbox.play("anybody there?")
    listener = serve(*address, "--backfill", "1h")

    listener.wait_for("inbound", sid=missed.sid)

    listener.stop()
    came = [record for record in listener.records if record["type"] == "inbound"]
    assert [(inbound["sid"], inbound["missed"]) for inbound in came] == [(missed.sid, True)]
    assert listener.records[-1]["inbound"] == 0


def test_backfill_may_reach_back_as_far_as_one_likes(serve, twilio, address):
    """Further than there are dates, too."""
    missed = twilio.sandbox.play("anybody there?")
    listener = serve(*address, "--backfill", "999999d")

    assert listener.wait_for("inbound")["sid"] == missed.sid
    assert listener.stop() == 0, listener.stderr


def test_a_colleagues_change_is_left_alone(serve, twilio, address):
    """M6: what somebody else pointed the number at meanwhile stays."""
    listener = serve(*address)
    assert listener.ready
    twilio.number.sms_url = "https://calm-fox.ngrok-free.app/sms"

    assert listener.stop() == 0, listener.stderr
    assert twilio.number.sms_url == "https://calm-fox.ngrok-free.app/sms"
    assert listener.records[-1]["restored"] is None
    assert [r["id"] for r in listener.records if r["type"] == "problem"] == ["M6"]


def test_a_production_url_is_not_replaced_without_a_yes(serve, twilio, address):
    """D5, Q5: without a terminal it needs --yes, and nothing is opened or changed before."""
    twilio.number.sms_url = PRODUCTION
    listener = serve(*address)

    assert listener.wait() == 5, listener.stderr
    assert "error[N8]" in listener.stderr
    assert twilio.updates() == []


def test_with_yes_it_is_replaced_and_put_back(serve, twilio, address):
    """Q5: --yes is the answer in CI."""
    twilio.number.sms_url = PRODUCTION
    listener = serve(*address, "--yes")
    assert listener.ready

    assert listener.stop() == 0, listener.stderr
    assert twilio.number.sms_url == PRODUCTION


def test_a_number_in_a_messaging_service_is_not_pointed_in_vain(serve, twilio, address):
    """E7: the service answers instead of the number, so pointing the number would do nothing."""
    twilio.account.add_service("shop", NUMBER, inbound_request_url=PRODUCTION)
    listener = serve(*address)

    assert listener.wait() == 5, listener.stderr
    assert "error[N4]" in listener.stderr
    assert twilio.updates() == []


def test_via_service_points_the_service_and_puts_it_back(serve, twilio, address):
    """The service's own fields are what is changed, and what is restored."""
    service = twilio.account.add_service("shop", NUMBER, inbound_request_url=PRODUCTION)
    listener = serve(*address, "--via-service", "--yes")
    assert listener.ready
    assert service.inbound_request_url == listener.ready["webhook_url"]

    assert listener.stop() == 0, listener.stderr
    assert re.search(r'service   "shop" \(MG..…..\) points here\n', listener.stderr)
    assert service.inbound_request_url == PRODUCTION
    assert twilio.number.sms_url == OLD


def test_a_twiml_app_is_detached_and_attached_again(serve, twilio, address):
    """N6: while an app is attached Twilio ignores the number's own webhook."""
    app = twilio.account.add_application(friendly_name="bot", sms_url=PRODUCTION)
    twilio.number.sms_application_sid = app.sid
    listener = serve(*address, "--yes")
    assert listener.ready
    assert twilio.number.sms_application_sid == ""

    assert listener.stop() == 0, listener.stderr
    assert twilio.number.sms_application_sid == app.sid
    assert twilio.number.sms_url == OLD


def test_keep_leaves_it_and_restore_can_still_put_it_back(serve, smsquest_here, twilio, address):
    """--keep is a choice that can be undone."""
    listener = serve(*address, "--keep")
    url = listener.ready["webhook_url"]
    assert listener.stop() == 0, listener.stderr
    assert twilio.number.sms_url == url
    assert listener.records[-1]["restored"] is None

    done = smsquest_here("configure-number", "--restore")

    assert done.returncode == 0, done.stderr
    assert twilio.number.sms_url == OLD


def test_a_refusal_at_the_end_is_exit_9_and_the_journal_stays(
    serve, smsquest_here, twilio, address
):
    """M1 (a token rotated meanwhile, say) beats every other code; later it can be put back."""
    listener = serve(*address)
    assert listener.ready
    twilio.faults.add("POST", ".*IncomingPhoneNumbers.*", status=401, times=None)

    assert listener.stop(signal.SIGTERM, timeout=40) == 9, listener.stderr
    assert "error[M1]" in listener.stderr
    assert listener.records[-1]["restored"] is False
    twilio.faults.clear()
    assert smsquest_here("configure-number", "--restore").returncode == 0
    assert twilio.number.sms_url == OLD


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
def test_a_number_that_stays_is_9_though_the_log_takes_no_more(serve, twilio, address):
    """Of two failures at the end the one that is outside this computer counts."""
    import resource

    listener = serve(*address)
    assert listener.ready
    twilio.faults.add("POST", ".*IncomingPhoneNumbers.*", status=401, times=None)
    resource.prlimit(listener.process.pid, resource.RLIMIT_FSIZE, (0, 0))  # no file grows any more

    assert listener.stop(signal.SIGTERM, timeout=40) == 9, listener.stderr
    assert "error[M1]" in listener.stderr
    assert "error[L1]" in listener.stderr


PATIENT = """
    from functools import partial
    from smsquest_cli.__main__ import main
    from smsquest_cli.serving import number_entrance

    number_entrance.Handling = partial(number_entrance.Handling, patience=600)
    main()
"""


def test_the_third_ctrl_c_gives_up_and_the_second_says_so(serve, twilio, address, home):
    """Twilio does not answer: 9, with the journal on disk, as soon as somebody insists."""
    listener = serve(*address, command=[sys.executable, "-c", textwrap.dedent(PATIENT)])
    assert listener.ready
    asked, released, answer = threading.Event(), threading.Event(), twilio.sandbox.app.wsgi_app

    def hanging(environ, start):
        asked.set()
        assert released.wait(60)
        return answer(environ, start)

    twilio.sandbox.app.wsgi_app = hanging
    try:
        listener.send(signal.SIGINT)
        assert asked.wait(20)
        listener.send(signal.SIGINT)
        wait_for(lambda: "a third Ctrl-C gives up" in listener.stderr)
        listener.send(signal.SIGINT)
        assert listener.wait(timeout=30) == 9, listener.stderr
    finally:
        released.set()
    assert "error[M1]" in listener.stderr
    assert list((home / "journal").glob("PN*.json"))


@pytest.mark.usefixtures("twilio")
def test_a_number_that_is_not_there_is_named_with_the_closest(serve, address):
    """E5: a typing mistake is exit 5, with what was probably meant."""
    listener = serve(*address, "--number", "202 555 0191")

    assert listener.wait() == 5, listener.stderr
    assert "error[N2]: +12025550191" in listener.stderr
    assert NUMBER in listener.stderr


def test_several_numbers_are_listed_never_chosen(serve, twilio, address):
    """E6: off a terminal it is N1 with the list."""
    twilio.account.add_number("+12025550102", friendly_name="dev")
    listener = serve(*address)

    assert listener.wait() == 5, listener.stderr
    assert "error[N1]: 2 SMS numbers" in listener.stderr


@pytest.mark.usefixtures("twilio")
def test_wrong_credentials_are_exit_3(serve, address):
    """E2: Twilio's refusal is named with the source of the credentials."""
    listener = serve(*address, env={"TWILIO_AUTH_TOKEN": "f" * 32})

    assert listener.wait() == 3, listener.stderr
    assert "error[C2]" in listener.stderr
    assert "environment" in listener.stderr


def test_an_api_key_alone_serves_unchecked_and_says_so(serve, twilio, address, environment):
    """C5: a key cannot verify signatures; requests come in marked as unchecked."""
    environment.update(twilio.by_key())
    del environment["TWILIO_AUTH_TOKEN"]
    listener = serve(*address)
    assert listener.ready["verify"] is False

    twilio.sandbox.play("hello")

    assert listener.wait_for("inbound")["signature"] == "unchecked"
    assert "warning[C5]" in listener.stderr


def test_two_runs_never_share_a_number(serve, twilio, address):
    """The second is refused while the first is there; the first goes on."""
    first = serve(*address)
    assert first.ready

    second = serve("--public-url", "http://127.0.0.1:9", "--port", 0)

    assert second.wait() == 5
    assert "error[M4]" in second.stderr
    assert first.stop() == 0
    assert twilio.number.sms_url == OLD


def test_a_public_url_that_leads_elsewhere_is_found_out_first(serve, twilio):
    """The self-test comes before the number: nothing is changed."""
    with closed_port() as port:
        listener = serve("--port", 0, "--public-url", f"http://127.0.0.1:{port}")

        assert listener.wait(timeout=40) == 6, listener.stderr
    assert twilio.updates() == []


@pytest.mark.usefixtures("twilio")
def test_a_private_url_is_refused_when_twilio_is_the_real_one(smsquest_here):
    """N9: Twilio cannot reach this computer by its private address."""
    done = smsquest_here(
        "serve", "--public-url", "http://127.0.0.1:5000", env={"SMSQUEST_TWILIO_URL": ""}
    )

    assert done.returncode == 2
    assert "error[N9]" in done.stderr


@pytest.fixture
def ngrok(environment):
    """The variables of a user whose ngrok is the stand-in."""
    return {
        "PYNGROK_NGROK_PATH": str(FAKE_NGROK),
        "NGROK_AUTHTOKEN": "2abcdefgh1_ABCDEFGH1",
        "FAKE_NGROK_WEB_ADDR": "127.0.0.1:0",
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
    }


def test_ngrok_by_the_unmodified_pyngrok(serve, twilio, ngrok):
    """The whole way: agent, tunnel, self-test, number, message, and all of it undone."""
    listener = serve("--port", 0, env=ngrok)
    ready = listener.wait_for("ready", timeout=40)

    exchange = twilio.sandbox.play("through the tunnel")

    assert ready["mode"] == "tunnel"
    assert exchange.answer.status == 200
    assert listener.wait_for("inbound")["body"] == "through the tunnel"
    assert listener.stop(timeout=30) == 0, listener.stderr
    assert twilio.number.sms_url == OLD


def test_restore_ends_the_agent_of_a_killed_run_too(serve, smsquest_here, twilio, ngrok, home):
    """What the run left behind is the number and its tunnel: both are put right by one command."""
    killed = serve("--port", 0, env=ngrok)
    assert killed.wait_for("ready", timeout=40)
    assert killed.stop(signal.SIGKILL) == -9
    (agent,) = (home / "ngrok-agents").glob("*.json")
    pid, identity = int(agent.stem), json.loads(agent.read_text())["identity"]
    assert processes.is_running(pid, identity)

    done = smsquest_here("configure-number", "--restore")

    assert "ended an ngrok agent that a killed smsquest had left behind" in done.stderr
    assert not processes.is_running(pid, identity)
    assert twilio.number.sms_url == OLD


def test_without_an_ngrok_token_nothing_is_started(serve, twilio):
    """E3: T1 and exit 6 before anything is downloaded, opened or changed."""
    listener = serve("--port", 0)

    assert listener.wait() == 6, listener.stderr
    assert "error[T1]" in listener.stderr
    assert twilio.updates() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("step", range(1, 7))
def test_at_no_moment_of_the_start_is_a_number_left_without_a_journal(
    serve, twilio, address, home, step, number
):
    """Ended at the n-th request to Twilio, the number is as it was, or the journal knows it."""
    answer = twilio.sandbox.app.wsgi_app
    seen = []

    def ending(environ, start):
        seen.append(environ["PATH_INFO"])
        if len(seen) == step:
            listener.send(number)
        return answer(environ, start)

    twilio.sandbox.app.wsgi_app = ending
    listener = serve(*address)
    code = listener.wait(timeout=30)

    assert len(seen) >= step
    if not any(request.startswith("POST") for request in twilio.requests[:step]):
        assert twilio.updates() == []  # who stops before the change has it not made at all
    if number == signal.SIGINT:
        assert (code, twilio.number.sms_url) == (130, OLD)
        assert listener.stderr.endswith("nothing changed.\n")
    elif twilio.number.sms_url != OLD:
        (journal,) = (home / "journal").glob("PN*.json")
        assert json.loads(journal.read_text())["original"]["sms_url"] == OLD
