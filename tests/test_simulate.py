"""``smsquest simulate`` as its user runs it: against a serve, and as Twilio against any app."""

from __future__ import annotations

import json

import pytest
from flask import Flask, Response, request
from ports import closed_port
from pretend_twilio import served
from program import IMPATIENT
from twilio.request_validator import RequestValidator
from twilio.rest import Client

TOKEN = "0" * 32


def an_app(answer="<Response><Message action='/status'>Welcome!</Message></Response>", **kind):
    """A Flask app of somebody else's that checks signatures and remembers statuses."""
    app = Flask("theirs")
    app.statuses = []

    def genuine():
        signature = request.headers.get("X-Twilio-Signature", "")
        return RequestValidator(TOKEN).validate(request.url, request.form, signature)

    @app.post("/sms")
    def sms():
        if not genuine():
            return "who are you?", 403
        return Response(answer, **{"mimetype": "text/xml", **kind})

    @app.post("/status")
    def status():
        assert genuine()
        app.statuses.append(request.form["MessageStatus"])
        return "", 204

    return app


def test_any_app_gets_a_signed_message_and_the_callbacks_that_it_asks_for(smsquest):
    """With --url the command is Twilio: signature, TwiML, status callbacks."""
    app = an_app()
    with served(app) as url:
        done = smsquest("simulate", "JOIN", "--url", f"{url}/sms", "--pace", "instant")

    assert done.returncode == 0, done.stderr
    assert 'reply: "Welcome!"' in done.stdout
    assert app.statuses == ["queued", "sent", "delivered"]


ELSEWHERE = "<Response><Message action='/statuses'>Welcome!</Message></Response>"


def test_callbacks_that_the_app_does_not_take_are_said(smsquest_here):
    """A18, with the address and its answer; the message itself is delivered."""
    with served(an_app(ELSEWHERE)) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--pace", "instant", "-o", "json"
        )

    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    [told] = [r for r in records if r["type"] == "problem" and r["id"] == "A18"]
    assert f"{url}/statuses, which answered 404" in told["line"]
    assert records[-2]["status"] == "delivered"


def test_callbacks_that_would_not_come_through_are_said(serve, smsquest_here):
    """A18 by the serve, which knows what it passes on: that is why nothing is heard of a reply."""
    with served(an_app(ELSEWHERE)) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms")
        base = running.ready["local_url"]
        smsquest_here("simulate", "x", "--pace", "instant")
        told = running.wait_for("problem", id="A18")

    assert f'{base}/statuses, where smsquest answers 404: use action="/status"' in told["line"]
    assert running.wait_for("reply")["messages"][0]["status_callback"] == f"{base}/statuses"


def test_a_redirect_that_would_not_come_through_is_said(serve, smsquest_here):
    """A19: the app may have the route, but only /sms and /status are passed on to it."""
    twiml = "<Response><Message>one</Message><Redirect>/next</Redirect></Response>"
    with served(an_app(twiml)) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms")
        base = running.ready["local_url"]
        smsquest_here("simulate", "x", "--pace", "instant")
        told = running.wait_for("problem", id="A19")

    assert f"redirects to {base}/next, where smsquest answers 404" in told["line"]


def test_a_conversation_in_steps_is_no_replay(serve, smsquest_here):
    """S8 is about a message that comes again unasked; a <Redirect> to the webhook asks for it."""

    def steps(environ, start):
        start("200 OK", [("Content-Type", "text/xml")])
        more = "" if "step=2" in environ["QUERY_STRING"] else "<Redirect>/sms?step=2</Redirect>"
        return [f"<Response><Message>hello</Message>{more}</Response>".encode()]

    with served(steps) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms")
        assert running.ready
        assert smsquest_here("simulate", "x", "--pace", "instant").returncode == 0
        running.stop()

    came = [one["duplicate"] for one in running.records if one["type"] == "inbound"]
    assert came == [False, True]
    assert [one for one in running.records if one["type"] == "problem"] == []


def test_a_document_that_sends_twilio_on_is_looked_at_too(serve, smsquest_here, tmp_path):
    """A19 for ``--twiml``, once; and no S8 for the steps that it asks for."""
    (tmp_path / "lost.xml").write_text("<Response><Redirect>/nowhere</Redirect></Response>")
    running = serve("--sandbox", "--port", 0, "--twiml", "lost.xml")
    assert running.ready

    smsquest_here("simulate", "x", "--pace", "instant")

    assert running.wait_for("problem", id="A19")


def test_an_undelivered_reply_is_told_to_the_app_and_to_us(smsquest_here):
    """A scenario is how the day of the reply goes."""
    app = an_app()
    with served(app) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--pace", "instant",
            "--scenario", "undelivered:30003",
        )  # fmt: skip

    assert app.statuses[-1] == "undelivered"
    assert "30003" in done.stdout


@pytest.mark.parametrize(("pattern", "code"), [("[Ww]elcome", 0), ("Goodbye", 8)])
def test_expect_decides_the_exit_code(smsquest_here, pattern, code):
    """A script fails when the reply is not what it should be."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--pace", "instant", "--expect", pattern
        )

    assert done.returncode == code
    assert ("error[E2]" in done.stderr) == (code == 8)


def test_an_app_that_twilio_could_not_use_is_exit_8_with_the_reason(smsquest_here):
    """JSON instead of TwiML is named, with the way to mend it."""
    with served(an_app('{"reply": "hi"}', mimetype="application/json")) as url:
        done = smsquest_here("simulate", "x", "--url", f"{url}/sms", "--pace", "instant")

    assert done.returncode == 8
    assert "error[R1]: your app replied application/json" in done.stderr


def test_nobody_there_is_exit_8(smsquest_here):
    """An app that does not run is no traceback."""
    with served(an_app()) as url:
        pass
    done = smsquest_here("simulate", "x", "--url", f"{url}/sms", "--pace", "instant")

    assert done.returncode == 8
    assert "no answer" in done.stdout
    assert "Traceback" not in done.stderr


def test_unsigned_is_what_a_stranger_sends(smsquest_here):
    """The app's own check is put to the test; being refused is what is wanted."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--unsigned", "--pace", "instant"
        )

    assert "403" in done.stdout
    assert done.returncode == 0


def test_show_request_shows_every_field_and_the_answer(smsquest_here):
    """A learner sees what Twilio sends, and what came back."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "hello quest", "--url", f"{url}/sms", "--show-request", "--pace", "instant"
        )

    for part in ("X-Twilio-Signature:", "Body              hello quest", "<Response>", "text/xml"):
        assert part in done.stdout


def test_json_is_records_and_nothing_else(smsquest_here):
    """Each line of standard output is one record of a known type."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--pace", "instant", "-o", "json"
        )

    records = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [record["type"] for record in records if record.get("severity") != "note"]
    assert kinds == ["inbound", "reply", "message"]
    assert records[-1]["status"] == "delivered"
    steps = [step["status"] for step in records[-1]["history"]]
    assert steps == ["queued", "sending", "sent", "delivered"]


def test_standard_input_loses_one_newline(serve, smsquest):
    """``echo hello | smsquest simulate -`` sends "hello"."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready

    smsquest("simulate", "-", "--pace", "instant", input="two\nlines\n")

    assert listener.wait_for("inbound")["body"] == "two\nlines"


def test_param_and_media_reach_the_webhook(serve, smsquest_here):
    """Any field of Twilio's can be set, and attachments come as Twilio sends them."""
    listener = serve("--sandbox", "--port", 0, "--reply", "{FromCity} {NumMedia}")
    assert listener.ready

    smsquest_here(
        "simulate", "look", "--param", "FromCity=Berlin", "--media", "https://example.com/a.png",
        "--pace", "instant",
    )  # fmt: skip

    inbound = listener.wait_for("inbound")
    assert [media["url"] for media in inbound["media"]] == ["https://example.com/a.png"]
    assert listener.wait_for("reply")["messages"][0]["body"] == "Berlin 1"


def test_stop_opts_out_and_its_reply_fails(serve, smsquest_here):
    """What Twilio does about STOP: it blocks, and a reply comes back failed with 21610."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready

    done = smsquest_here("simulate", "STOP", "--pace", "instant")

    assert listener.wait_for("inbound")["opt_out"] == "STOP"
    assert listener.wait_for("status", status="failed")["error_code"] == 21610
    assert "note[D8]" in done.stderr


def test_get_carries_the_fields_in_the_address(serve, smsquest_here):
    """The exercise by GET: same message, same answer."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready

    done = smsquest_here("simulate", "by GET & more", "--method", "GET", "--pace", "instant")

    assert listener.wait_for("inbound", method="GET")["body"] == "by GET & more"
    assert 'reply: "You said: by GET & more"' in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--scenario", "nonsense"),
        ("--param", "novalue"),
        ("--expect", "("),
        ("--url", "ftp://example.com"),
        ("--url", "http://[x"),
        (),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(smsquest_here, options):
    """Bad input, and nobody to text to, is one line with an id."""
    done = smsquest_here("simulate", "x", *options)

    assert done.returncode == 2
    assert done.stderr.startswith("error[U")
    assert done.stderr.count("\n") == 1


def test_a_number_that_the_sandbox_has_not_is_named(serve, smsquest_here):
    """A typing mistake in --to is N2 and exit 5, with the closest number."""
    listener = serve("--sandbox", "--port", 0)
    assert listener.ready

    done = smsquest_here("simulate", "x", "--to", "+12025550101")

    assert done.returncode == 5
    assert "+12025550100" in done.stderr


def test_many_messages_all_arrive(serve, smsquest_here):
    """``--count`` sends them one after the other, each with a SID of its own."""
    listener = serve("--sandbox", "--port", 0, "--until", 20)
    assert listener.ready

    smsquest_here("simulate", "x", "--count", 20, "--pace", "instant")

    assert listener.wait() == 0
    sids = [record["sid"] for record in listener.records if record["type"] == "inbound"]
    assert len(set(sids)) == 20


def test_a_wrong_route_behind_a_serve_is_called_by_its_own_name(serve, smsquest_here):
    """With --forward-to it is the app's path that has to be mended, not that of the serve."""
    with served(an_app()) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/bot")
        assert running.ready
        done = smsquest_here("simulate", "hello")

    assert done.returncode == 8
    assert "error[A3]: your app has no POST /bot (404)" in done.stderr


def test_a_reply_as_html_is_a_warning_here_too(smsquest_here):
    """Twilio reads it all the same, so nothing has failed."""
    with served(an_app(mimetype="text/html")) as url:
        done = smsquest_here("simulate", "--url", f"{url}/sms", "hello")

    assert done.returncode == 0
    assert done.stderr.startswith("warning[R1]: your app replied text/html")


def test_a_message_that_no_app_got_fails_the_job(serve, smsquest_here):
    """T8, as the serve says it, and exit 8: an empty answer to Twilio is no answer of the app."""
    with closed_port() as port:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"http://127.0.0.1:{port}/sms",
                        command=IMPATIENT)  # fmt: skip
        assert running.ready
        done = smsquest_here("simulate", "hello")

    assert done.returncode == 8
    assert f"error[T8]: nothing listens on 127.0.0.1:{port}" in done.stderr
    assert "error[E5]" in done.stderr


def test_a_refused_signature_is_explained_here_too(serve, smsquest_here):
    """What the serve makes of a 403 is told in both windows, not only that there was one."""
    with served(an_app()) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms",
                        env={"TWILIO_AUTH_TOKEN": "f" * 32})  # fmt: skip
        assert running.ready
        done = smsquest_here("simulate", "hello", env={"TWILIO_AUTH_TOKEN": "f" * 32})
        told = running.wait_for("problem", severity="error")

    assert f"error[{told['id']}]" in done.stderr
    assert "A11" not in done.stderr


def test_the_records_are_those_of_the_serve(serve, smsquest_here):
    """Who answered is its own rule, and what was sent is what --param made of it."""
    assert serve("--sandbox", "--port", 0).ready

    done = smsquest_here(
        "simulate", "x", "--param", "Body=other", "--pace", "instant", "-o", "json"
    )

    inbound, reply = [json.loads(line) for line in done.stdout.splitlines()][:2]
    assert inbound["body"] == "other"
    assert (reply["source"], reply["messages"][0]["body"]) == ("reply", "You said: other")


@pytest.mark.parametrize(
    ("twiml", "code", "words"),
    [
        ("<Response><Message to='foo'>x</Message></Response>", 0, "Twilio logged 14101"),
        ("<Response><Redirect>/sms</Redirect></Response>", 8, "Twilio logged 14106"),
    ],
)
def test_what_twilios_debugger_would_say_is_said(smsquest_here, twiml, code, words):
    """D12: nothing else explains why nobody gets anything."""
    with served(an_app(twiml)) as url:
        done = smsquest_here("simulate", "x", "--url", f"{url}/sms", "--pace", "instant")

    assert done.returncode == code, done.stderr
    assert f"[D12]: {words} on {url}/sms" in done.stderr


def test_what_was_not_sent_is_no_reply(smsquest_here):
    """A <Message> that Twilio makes no message of does not meet an expectation."""
    twiml = "<Response><Message to='foo'>hello</Message></Response>"
    with served(an_app(twiml)) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--pace", "instant", "--expect", "hello"
        )

    assert (done.returncode, "no reply" in done.stdout) == (8, True)


def test_a_refusal_of_the_serve_itself_says_why(serve, smsquest_here):
    """There is no app that could have failed: the request is none of Twilio's."""
    assert serve("--sandbox", "--port", 0).ready

    done = smsquest_here("simulate", "x", "--param", "MessageSid=")

    assert done.returncode == 8
    assert "no reply (malformed: no MessageSid)" in done.stdout
    assert "your app" not in done.stderr


def test_what_a_redirect_leads_to_is_judged_too(serve, smsquest_here):
    """The serve tells of its own URLs that it does not pass on; for others the app is asked."""
    app = an_app("<Response><Redirect>/other</Redirect></Response>")
    with served(app) as url:
        assert serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms").ready
        ours = smsquest_here("simulate", "x")
        away = f"<Response><Redirect>{url}/other</Redirect></Response>"
        app.view_functions["sms"] = lambda: Response(away, mimetype="text/xml")
        theirs = smsquest_here("simulate", "x")

    assert (ours.returncode, theirs.returncode) == (8, 8)
    assert "[A19]" in ours.stderr
    assert "your app has no POST /other" not in ours.stderr
    assert "[A3]: your app has no POST /other (404)" in theirs.stderr


def test_a_refused_signature_is_explained_for_any_app(smsquest_here):
    """S10: the app has another token than the one that signed."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", env={"TWILIO_AUTH_TOKEN": "a" * 32}
        )

    assert done.returncode == 8
    assert f"error[S10]: your app rejected a genuine Twilio signature of {url}/sms" in done.stderr


@pytest.mark.parametrize(("path", "code"), [("/sms", 0), ("/nowhere", 8)])
def test_a_stranger_may_be_refused_and_nothing_else(nobody, smsquest_here, path, code):
    """A job that checks how strangers fare notices an app that is not there or lacks the route."""
    with served(an_app()) as url:
        found = smsquest_here("simulate", "x", "--unsigned", "--url", url + path)
    missed = smsquest_here("simulate", "x", "--unsigned", "--url", f"{nobody}/sms")

    assert (found.returncode, missed.returncode) == (code, 8)
    assert "error[E5]" in missed.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--url", "http://m\u00fcnchen.invalid/sms"), "http://xn--mnchen-3ya.invalid/sms"),
        (("--scenario", "undelivered:\u0663\u0660\u0660\u0660\u0663"), "error[U6]: --scenario"),
        (("--rate", "inf"), "'--rate'"),
        (("--url", "htp://ada:lovelace@127.0.0.1/"), "htp://***@127.0.0.1/"),
        (("--media", "ftp://ada:lovelace@127.0.0.1/"), "ftp://***@127.0.0.1/"),
    ],
)
def test_what_cannot_be_called_or_meant_is_said(smsquest_here, arguments, problem):
    """Exit 2, with what would do, and without the password of an address."""
    done = smsquest_here("simulate", "x", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert "lovelace" not in done.stderr


def test_records_say_why_there_is_no_answer(nobody, smsquest_here):
    """The end of a command is a record with the reason and the whole SID."""
    done = smsquest_here("simulate", "x", "--url", f"{nobody}/sms", "-o", "json")

    inbound, error = [json.loads(line) for line in done.stdout.splitlines()]
    assert (error["id"], error["sid"]) == ("E5", inbound["sid"])
    assert "(11202: Connection refused)" in error["line"]


def test_a_reply_that_does_not_fit_is_a_record_with_its_sid(smsquest_here):
    """E2 names the message in its own field too."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--pace", "instant", "--expect", "Bye",
            "-o", "json",
        )  # fmt: skip

    inbound, *_, error = [json.loads(line) for line in done.stdout.splitlines()]
    assert (error["id"], error["sid"]) == ("E2", inbound["sid"])


def test_a_number_without_webhook_calls_nobody_and_says_so(serve, smsquest_here):
    """N20, in the records too."""
    running = serve("--sandbox", "--port", 0)
    sandbox = running.ready["sandbox"]
    client = Client(sandbox["account_sid"], sandbox["auth_token"])
    client.api.base_url = sandbox["api_url"]
    [number] = client.incoming_phone_numbers.list()
    number.update(sms_url="")

    done = smsquest_here("simulate", "x", "-o", "json")

    assert done.returncode == 0, done.stderr
    inbound, note = [json.loads(line) for line in done.stdout.splitlines()]
    assert (note["id"], note["sid"]) == ("N20", inbound["sid"])


def test_a_long_text_passes_with_a_note(serve, smsquest_here):
    """D13 above 1,600 characters, once for each message, in both windows and for any app."""
    running = serve("--sandbox", "--port", 0, "--no-reply")
    assert running.ready
    here = smsquest_here("simulate", "x" * 1601)
    told = running.wait_for("problem", id="D13")
    again = smsquest_here("replay", "last")
    running.stop()
    with served(an_app()) as url:
        anywhere, short = (
            smsquest_here("simulate", "x" * length, "--url", f"{url}/sms", "--pace", "instant")
            for length in (1601, 1600)
        )

    assert "1601 characters" in told["line"]
    notes = [one.stderr.count("note[D13]") for one in (here, again, anywhere, short)]
    assert notes == [1, 0, 1, 0]
    assert [one["type"] for one in running.records if one.get("id") == "D13"] == ["problem"]


def test_a_delivery_has_its_times_and_its_error_in_words(smsquest_here):
    """The record of a message is that of ``tail-status``."""
    with served(an_app()) as url:
        done = smsquest_here(
            "simulate", "x", "--url", f"{url}/sms", "--scenario", "undelivered:30003", "-o", "json"
        )

    message = json.loads(done.stdout.splitlines()[-1])
    assert (message["error_code"], message["error"]) == (30003, "Handset unreachable")
    times = [step["elapsed_ms"] for step in message["history"]]
    assert times[0] == 0
    assert times == sorted(times)
    assert times[-1] >= 1000
    assert len({step["ts"] for step in message["history"]}) == len(times)


def test_a_message_that_comes_again_is_told_as_it_is_now(serve, smsquest_here):
    """An app that failed the first time is not blamed for it the second time."""
    app = an_app()
    with served(app) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms", "--resign")
        assert running.ready
        works = app.view_functions["sms"]
        app.view_functions["sms"] = lambda: ("not now", 500)
        options = ("--param", "MessageSid=SM" + "b" * 32, "--pace", "instant", "-o", "json")
        first = smsquest_here("simulate", "x", *options)
        app.view_functions["sms"] = works
        second = smsquest_here("simulate", "x", *options)

    assert (first.returncode, second.returncode) == (8, 0), second.stderr
    records = [json.loads(line) for line in second.stdout.splitlines()]
    [inbound] = [one for one in records if one["type"] == "inbound"]
    [reply] = [one for one in records if one["type"] == "reply"]
    assert (inbound["duplicate"], reply["http_status"]) == (True, 200)
    times = [one["ts"] for one in records]
    assert times == sorted(times)


def test_a_refusal_of_the_serve_is_no_reply_of_an_app(serve, smsquest_here):
    """The source of the answer is none: nobody but the serve has seen the request."""
    assert serve("--sandbox", "--port", 0).ready

    done = smsquest_here("simulate", "x", "--unsigned", "-o", "json")

    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout.splitlines()[1])
    assert (reply["type"], reply["source"], reply["http_status"]) == ("reply", "none", 403)


def test_a_reply_to_who_has_opted_out_is_told_to_fail(serve, smsquest_here):
    """D8 with each later message too: what is shown as a reply reaches nobody."""
    assert serve("--sandbox", "--port", 0).ready
    for text in ("STOP", "hi after stop"):
        done = smsquest_here("simulate", text, "--pace", "instant")

        assert done.stderr.count("note[D8]: +12025550143 opted out") == 1


def test_a_loop_of_redirects_is_called_one(smsquest_here):
    """T14 does not promise that Twilio would follow it once more."""
    app = Flask("theirs")
    app.post("/sms")(lambda: ("", 307, {"Location": "/sms"}))
    with served(app) as url:
        done = smsquest_here("simulate", "x", "--url", f"{url}/sms")

    assert done.returncode == 8
    assert "Twilio does not follow it (11215)" in done.stderr
    assert "--forward-to" not in done.stderr
