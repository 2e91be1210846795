"""``smsquest configure-number``: shows who answers, changes with a question, puts back.

The account is the pretend Twilio over HTTP, below the real SDK.
"""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pytest
from pretend_twilio import pretend_twilio

from smsquest_cli.configuring import Wanted, apply, plan, put_back
from smsquest_cli.diagnosis import route_of
from smsquest_cli.events import Ready
from smsquest_cli.journal import Journal, JournalEntry
from smsquest_cli.problems import NumberError
from smsquest_cli.runs import Run, announced
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER

DEMO = "https://demo.twilio.com/welcome/sms/reply"
SHOP = "https://api.shop.example/sms"
NEW = "https://new.example.com/sms"
TUNNEL = "https://brave-otter.ngrok-free.app/sms"


@pytest.fixture
def twilio(tmp_path, environment):
    """An account with one number that answers with Twilio's demo."""
    with pretend_twilio(tmp_path, webhook_url=DEMO) as account:
        environment.update(account.environment, SMSQUEST_HOME=environment["SMSQUEST_HOME"])
        yield account


@pytest.fixture
def configure(smsquest_here):
    """Run ``configure-number``: ``configure(NUMBER, "--url", URL)``."""

    def run(*arguments, **options):
        return smsquest_here("configure-number", *arguments, **options)

    return run


@pytest.fixture
def shown(configure):
    """The numbers as ``--show`` lists them for programs, by number."""

    def numbers():
        done = configure("--show", "-o", "json")
        assert done.returncode == 0, done.stderr
        return {one["number"]: one for one in json.loads(done.stdout)["numbers"]}

    return numbers


@pytest.fixture
def journal(home):
    return Journal(home)


@pytest.fixture
def on_a_terminal(environment, tmp_path):
    """Run the command on a terminal of its own: ``on_a_terminal("--url", URL)``."""

    def run(*arguments):
        return pexpect.spawn(
            sys.executable,
            ["-m", "smsquest_cli", "configure-number", *arguments],
            env=environment,
            cwd=str(tmp_path),
            encoding="utf-8",
            timeout=20,
            dimensions=(24, 200),
        )

    return run


def a_run(url):
    """A ``serve`` in this process that is reached at *url*."""
    ready = Ready(
        ts=datetime.now(UTC),
        mode="public",
        pid=os.getpid(),
        webhook_url=url,
        status_url=url,
        local_url="http://127.0.0.1:1",
    )
    return Run("run", ready, "store")


def left_behind(journal, twilio, **fields):
    """The journal entry of a run that was killed while the number called `TUNNEL`."""
    entry = JournalEntry(
        **{
            "sid": twilio.number.sid,
            "number": NUMBER,
            "account_sid": ACCOUNT_SID,
            "origin": twilio.origin,
            "original": {"sms_url": SHOP, "sms_method": "GET"},
            "ours": (TUNNEL,),
            "started": datetime.now(UTC),
            "pid": 4242,
            "process": "gone",
            "host": "laptop",
            "user": "sam",
            **fields,
        }
    )
    journal.write(entry, replacing=None)
    return entry


# Showing


def test_every_number_is_shown_with_its_webhook_and_nothing_is_written(configure, twilio):
    """The default: numbers, names, webhooks, whose account, where its credentials were found."""
    twilio.account.add_number("+12025550101", friendly_name="shop", sms_url=SHOP)
    done = configure()

    assert done.returncode == 0
    assert "credentials: environment (account SID + auth token)" in done.stdout
    assert "Twilio's demo reply" in done.stdout
    assert "free to use" in done.stdout
    assert f"POST {SHOP}" in " ".join(done.stdout.split())
    assert twilio.updates() == []


def test_who_really_answers_is_shown(twilio, shown):
    """A Messaging Service, a TwiML app and a Conversations address come before the number."""
    account = twilio.account
    for last in range(1, 6):
        account.add_number(f"+1202555010{last}", sms_url=SHOP, sms=last != 5)
    service = account.add_service("shop", "+12025550101", inbound_request_url=NEW)
    deferring = account.add_service("other", NUMBER, use_inbound_webhook_on_number=True)
    app = account.add_application(friendly_name="bot", sms_url=NEW)
    account.owned("+12025550102").sms_application_sid = app.sid
    account.add_address("+12025550103")
    found = shown()

    assert {number: one["answers"] for number, one in found.items()} == {
        NUMBER: "number",
        "+12025550101": "service",
        "+12025550102": "application",
        "+12025550103": "conversations",
        "+12025550104": "number",
        "+12025550105": "number",
    }
    assert found["+12025550101"]["service"] == service.sid
    assert found["+12025550101"]["url"] == found["+12025550102"]["url"] == NEW
    assert deferring.sid not in json.dumps(found)
    assert [number for number, one in found.items() if one["free"]] == [NUMBER]
    assert next(iter(found)) == NUMBER  # free ones first
    assert list(found)[-1] == "+12025550105"  # without SMS


def test_the_table_says_who_answers_and_whose_the_url_is(configure, twilio):
    """In words, also where messages are dropped, or where nobody knows whose the URL is."""
    account = twilio.account
    for last, url in enumerate(
        (SHOP, SHOP, SHOP, TUNNEL, "https://webhooks.twilio.com/v1/Flows/F")
    ):
        account.add_number(f"+1202555011{last}", sms_url=url)
    account.add_number("+12025550115", sms=False)
    account.add_service("void", "+12025550110")
    app = account.add_application(friendly_name="bot", sms_url=NEW)
    account.owned("+12025550111").sms_application_sid = app.sid
    account.add_address("+12025550112")
    done = configure()
    lines = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("+")]
    rows = {number: " ".join(words) for number, *words in lines}

    assert rows[NUMBER] == "Twilio's demo reply free to use"
    assert rows["+12025550110"].startswith('dropped by the Messaging Service Service "void" (MG')
    assert rows["+12025550111"] == f'POST {NEW} TwiML app "bot"'
    assert rows["+12025550112"] == f"Conversations (webhook unused: {SHOP})"
    assert rows["+12025550113"] == f"POST {TUNNEL} a tunnel"
    assert rows["+12025550114"].endswith("Flows/F a Studio flow")
    assert rows["+12025550115"] == "cannot receive SMS"


def test_a_url_is_whole_where_a_program_reads_it(configure, twilio):
    """Off a terminal nothing is divided, however narrow the window is said to be."""
    twilio.number.sms_url = f"{SHOP}/{'x' * 200}"

    assert f"POST {twilio.number.sms_url}" in configure(env={"COLUMNS": "40"}).stdout


def test_an_account_without_numbers_says_so(configure, tmp_path, environment):
    """An empty table would look like a failure."""
    with pretend_twilio(tmp_path) as twilio:
        environment.update(twilio.environment, SMSQUEST_HOME=environment["SMSQUEST_HOME"])
        twilio.account.numbers.clear()
        done = configure()

    assert done.returncode == 0
    assert "no numbers" in done.stdout


def test_what_is_running_at_the_url_is_shown(configure, twilio, home, journal, shown):
    """A serve that runs is told from one that was killed."""
    twilio.number.sms_url = TUNNEL
    run = a_run(TUNNEL)
    with announced(home, run):
        assert shown()[NUMBER]["running"] == os.getpid()
        assert f"pid {os.getpid()}" in " ".join(configure().stdout.split())
    left_behind(journal, twilio)

    assert shown()[NUMBER]["left_behind"] is True
    assert shown()[NUMBER]["original_url"] == SHOP
    assert "--restore" in configure().stdout


def test_an_api_key_shows_the_same_and_says_what_it_cannot(configure, twilio):
    """A Standard key may not read the account's name; the rest is there, with warning C5."""
    done = configure(env=twilio.by_key())

    assert done.returncode == 0
    assert "API key" in done.stdout
    assert "warning[C5]" in done.stderr


def test_where_nobody_could_look_is_said_once(configure, twilio):
    """A Restricted key sees the numbers, and a warning that a service may answer for them."""
    twilio.account.add_number("+12025550101", sms_url=SHOP)
    twilio.faults.add("GET", "/v1/Services", status=405)
    done = configure()

    assert done.returncode == 0
    assert done.stderr.count("warning[W1]") == 1


def test_one_number_can_be_shown_alone_however_it_is_typed(configure, twilio):
    """Blanks, no plus, no country: the number is found; another is not, with the closest (N2)."""
    twilio.account.add_number("+12025550101", sms_url=SHOP)
    done = configure("202 555 0100", "-o", "json")
    other = configure("+12025550109")

    assert [one["number"] for one in json.loads(done.stdout)["numbers"]] == [NUMBER]
    assert other.returncode == 5
    assert "error[N2]" in other.stderr


def test_without_credentials_it_says_so(configure):
    """C1, exit 3, no traceback."""
    done = configure()

    assert done.returncode == 3
    assert "error[C1]" in done.stderr


def test_a_hostile_name_is_shown_as_text(configure, twilio):
    """What somebody named a number is text, not markup, and drives no terminal."""
    twilio.number.friendly_name = "[/red]\x1b]0;pwned\x07"
    done = configure()

    assert "[/red]␛]0" in "".join(done.stdout.split())
    assert "\x1b" not in done.stdout


# Setting


def test_the_command_is_the_same_as_a_process(smsquest, twilio):
    """Set, undone and shown by real processes, with nothing else on standard output."""
    done = smsquest("configure-number", NUMBER, "--url", NEW, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["after"]["sms_url"] == NEW
    undone = smsquest("configure-number", "--restore", "-o", "json")

    assert json.loads(undone.stdout)["restored"][0]["outcome"] == "restored"
    said = (done.stderr + undone.stderr).splitlines()
    assert [line for line in said if not line.startswith("waiting for Twilio")] == []
    assert twilio.number.sms_url == DEMO


def test_a_free_number_is_set_without_a_question_and_read_back(configure, twilio, journal):
    """Before and after are shown; only what differs is written; ``--restore`` undoes it."""
    done = configure(NUMBER, "--url", NEW)

    assert done.returncode == 0, done.stderr
    assert "Twilio's demo reply" in done.stdout
    assert f"POST {NEW}" in done.stdout
    assert "checked" in done.stdout
    assert twilio.number.sms_url == NEW
    assert len(twilio.updates()) == 1
    assert journal.entries() == []  # nothing waits: it was wanted so

    undone = configure("--restore")

    assert undone.returncode == 0
    assert f"{NUMBER}  restored to Twilio's demo reply  checked" in undone.stdout
    assert twilio.number.sms_url == DEMO
    assert configure("--restore").returncode == 0


def test_something_of_value_is_not_replaced_without_a_yes(configure, twilio):
    """Off a terminal: exit 5 with the flag to use, and nothing is written; --yes does it."""
    twilio.number.sms_url = SHOP
    refused = configure(NUMBER, "--url", NEW)

    assert refused.returncode == 5
    assert "error[N8]" in refused.stderr
    assert "--yes" in refused.stderr
    assert twilio.updates() == []
    assert configure(NUMBER, "--url", NEW, "--yes").returncode == 0
    assert twilio.number.sms_url == NEW


@pytest.mark.parametrize(("answer", "code", "url"), [("", 5, SHOP), ("y", 0, NEW)])
def test_on_a_terminal_it_asks_and_the_default_is_no(on_a_terminal, twilio, answer, code, url):
    """Before and after are on the screen with the question; without a yes nothing is written."""
    twilio.number.sms_url = SHOP
    terminal = on_a_terminal(NUMBER, "--url", NEW)
    terminal.expect(r"before  POST https://api.shop.example/sms")
    terminal.expect(r"\[y/N\] ")
    assert twilio.updates() == []
    terminal.sendline(answer)
    terminal.expect("changed, checked" if answer else "nothing changed")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == code
    assert twilio.number.sms_url == url


def test_another_tunnel_is_a_colleagues(configure, twilio):
    """M4 where the host is a tunnel's."""
    twilio.number.sms_url = TUNNEL
    done = configure(NUMBER, "--url", NEW)

    assert done.returncode == 5
    assert "error[M4]" in done.stderr


def test_method_and_fallback_are_set_too(configure, twilio):
    """Every option reaches its field, and what is not given stays."""
    done = configure(
        NUMBER, "--url", NEW, "--method", "GET", "--fallback-url", SHOP,
        "--fallback-method", "GET", "-o", "json",
    )  # fmt: skip
    told = json.loads(done.stdout)
    number = twilio.number

    assert (number.sms_method, number.sms_fallback_url, number.sms_fallback_method) == (
        "GET",
        SHOP,
        "GET",
    )
    assert told["changed"] is True
    assert told["before"]["sms_url"] == DEMO
    assert told["after"]["sms_fallback_url"] == SHOP
    assert configure(NUMBER, "--url", "none", "--yes").returncode == 0
    assert (number.sms_url, number.sms_fallback_url) == ("", "")


def test_a_dry_run_writes_nothing_and_says_what_would_be_asked(configure, twilio, journal):
    """The diff and no write, exit 0."""
    twilio.number.sms_url = SHOP
    done = configure(NUMBER, "--url", NEW, "--dry-run")

    assert done.returncode == 0
    assert "would be changed" in done.stdout
    assert "note[N8]" in done.stderr
    assert "Confirm with --yes" in done.stderr
    assert "?" not in done.stderr
    assert twilio.updates() == []
    assert not journal.folder.exists()


def test_a_conversations_address_is_warned_of(configure, twilio):
    """N17: the number may be set and stay silent all the same."""
    twilio.account.add_address(NUMBER)
    done = configure(NUMBER, "--url", NEW)

    assert done.returncode == 0
    assert "warning[N17]" in done.stderr


def test_what_is_so_already_is_left_alone(configure, twilio):
    """No question and no write."""
    twilio.number.sms_url = SHOP
    done = configure(NUMBER, "--url", SHOP)

    assert done.returncode == 0
    assert "unchanged" in done.stdout
    assert twilio.updates() == []


def test_a_twiml_app_is_detached_when_confirmed_and_comes_back(configure, twilio):
    """While the app is there the number's URL counts for nothing (N6)."""
    app = twilio.account.add_application(friendly_name="bot", sms_url=SHOP)
    twilio.number.sms_application_sid = app.sid
    refused = configure(NUMBER, "--url", NEW)

    assert refused.returncode == 5
    assert "error[N6]" in refused.stderr
    assert configure(NUMBER, "--url", NEW, "--yes").returncode == 0
    assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (NEW, "")
    assert configure("--restore").returncode == 0
    assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (DEMO, app.sid)


def test_a_messaging_service_is_set_with_via_service_only(configure, twilio):
    """Without it N4, exit 5; with it the service is changed, the number is not, and back."""
    twilio.account.add_number("+12025550101")
    service = twilio.account.add_service("shop", NUMBER, "+12025550101", inbound_request_url=SHOP)
    refused = configure(NUMBER, "--url", NEW, "--yes")

    assert refused.returncode == 5
    assert "error[N4]" in refused.stderr
    unconfirmed = configure(NUMBER, "--url", NEW, "--via-service")
    assert unconfirmed.returncode == 5
    assert "+12025550101" in unconfirmed.stderr  # it would come along
    done = configure(NUMBER, "--url", NEW, "--via-service", "--yes")
    assert done.returncode == 0, done.stderr
    assert (service.inbound_request_url, twilio.number.sms_url) == (NEW, DEMO)
    assert configure(NUMBER, "--restore").returncode == 0
    assert service.inbound_request_url == SHOP


def test_a_number_without_sms_cannot_be_set(configure, twilio):
    """N11, before anything is asked of Twilio."""
    twilio.number.sms = False
    done = configure(NUMBER, "--url", NEW)

    assert done.returncode == 5
    assert "error[N11]" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--show", "--restore"), "U5"),
        (("--restore", "--url", NEW), "U5"),
        (("--method", "GET"), "U10"),
        (("--all",), "U10"),
        (("--dry-run",), "U10"),
        (("--via-service",), "U10"),
        (("--url", "not a url"), "U6"),
        (("--url", "http://example.com:99999/"), "U6"),
        (("--url", "here"), "U3"),
    ],
)
def test_options_that_make_no_sense_are_refused(configure, twilio, arguments, problem):
    """Exit 2 with the problem, before Twilio is asked anything."""
    done = configure(*arguments)

    assert done.returncode == 2
    assert f"error[{problem}]" in done.stderr
    assert twilio.requests == []


def test_an_address_that_twilio_cannot_reach_is_refused(configure):
    """N9, unless Twilio itself is on this computer."""
    done = configure(
        "--url",
        "http://localhost:5000/sms",
        env={"TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": "0" * 32},
    )

    assert done.returncode == 2
    assert "error[N9]" in done.stderr


def test_several_numbers_are_not_chosen_from_silently(configure, twilio):
    """N1 lists them; TWILIO_PHONE_NUMBER or the argument decides."""
    twilio.account.add_number("+12025550101", friendly_name="shop")
    done = configure("--url", NEW)

    assert done.returncode == 5
    assert "error[N1]: 2 SMS numbers" in done.stderr
    assert "pick one with smsquest configure-number NUMBER: " in done.stderr
    assert "+12025550101 (shop)" in done.stderr
    assert configure("--url", NEW, env={"TWILIO_PHONE_NUMBER": NUMBER}).returncode == 0
    assert twilio.number.sms_url == NEW


def test_a_refusal_of_twilio_leaves_no_journal(configure, twilio, journal):
    """Nothing was changed, so nothing waits to be put back; exit 4."""
    twilio.faults.add("POST", "/IncomingPhoneNumbers/", status=405)
    refused = configure(NUMBER, "--url", NEW)

    assert refused.returncode == 4
    assert "error[W1]" in refused.stderr
    assert journal.entries() == []


@pytest.mark.parametrize(("answer", "code", "url"), [("\r", 0, NEW), ("\x04", 5, DEMO)])
def test_on_a_terminal_there_is_a_menu(on_a_terminal, twilio, answer, code, url):
    """Free numbers first; the first is the default, a slip is asked again, Ctrl-D leaves."""
    twilio.account.add_number("+12025550101", friendly_name="shop", sms_url=SHOP)
    terminal = on_a_terminal("--url", NEW)
    terminal.expect(r"1  \+12025550100        free \(Twilio's demo reply\)")
    terminal.expect(rf"2  \+12025550101  shop  in use: {SHOP}")
    terminal.sendline("7")
    terminal.expect("1 to 2, please")
    terminal.expect(r"Number \[1\]: ")
    terminal.send(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == code
    assert twilio.number.sms_url == url


def planned(twilio, journal, url=NEW):
    """A gateway, and what it would take to have the number call *url*."""
    gateway = twilio.gateway()
    route = route_of(gateway, gateway.number(twilio.number.sid))
    return gateway, plan(gateway, journal, route, Wanted(url=url))


def test_who_was_quicker_is_not_overwritten(twilio, journal):
    """What was shown and confirmed is what is replaced, or nothing is (N16)."""
    gateway, change = planned(twilio, journal)
    twilio.number.sms_url = SHOP

    with pytest.raises(NumberError, match="N16"):
        apply(gateway, journal, change)
    assert twilio.number.sms_url == SHOP
    assert journal.entries() == []


def test_a_run_that_was_quicker_has_the_number(twilio, journal):
    """The journal decides between two on this computer (M4)."""
    gateway, change = planned(twilio, journal)
    entry = left_behind(journal, twilio)

    with pytest.raises(NumberError, match="M4"):
        apply(gateway, journal, change)
    assert journal.entries() == [entry]
    assert twilio.updates() == []


def test_a_change_that_twilio_does_not_show_is_an_error(twilio, journal, monkeypatch):
    """N16; what was there stays in the journal, as nobody knows what will come."""
    gateway, change = planned(twilio, journal)
    monkeypatch.setattr(gateway, "set_number", lambda _sid, _fields: None)

    with pytest.raises(NumberError, match="N16"):
        apply(gateway, journal, change)
    assert [entry.original_url for entry in journal.entries()] == [DEMO]


def test_a_refusal_leaves_the_journal_of_the_killed_run(configure, twilio, journal):
    """Its original is still to be put back."""
    twilio.number.sms_url = TUNNEL
    entry = left_behind(journal, twilio)
    twilio.faults.add("POST", "/IncomingPhoneNumbers/", status=405)

    assert configure(NUMBER, "--url", NEW).returncode == 4
    assert journal.entries() == [entry]


def test_setting_the_original_by_hand_is_restoring(configure, twilio, journal):
    """Nothing waits then, and there is nothing to undo."""
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    done = configure(NUMBER, "--url", SHOP, "--method", "GET")

    assert done.returncode == 0, done.stderr
    assert journal.entries() == journal.undoable() == []


def test_a_services_fallback_is_not_ours_to_set(configure, twilio):
    """U5: the option is about the number's own webhook."""
    twilio.account.add_service("shop", NUMBER, inbound_request_url=SHOP)
    done = configure(NUMBER, "--url", NEW, "--via-service", "--fallback-url", SHOP)

    assert done.returncode == 2
    assert "error[U5]" in done.stderr


# here


def test_here_is_the_running_serve_and_is_put_back_like_what_a_run_left(
    configure, twilio, home, journal
):
    """The address goes when that serve stops, so it waits in the journal; nobody is alarmed."""
    with announced(home, a_run(TUNNEL)):
        done = configure("--url", "here")

        assert done.returncode == 0, done.stderr
        assert twilio.number.sms_url == TUNNEL
        assert [(entry.kept, entry.url) for entry in journal.entries()] == [(True, TUNNEL)]
        assert journal.stale() == []
    assert configure("--restore", "--all").returncode == 0
    assert twilio.number.sms_url == DEMO


def test_here_is_the_running_sandbox_for_who_has_no_account(configure, serve):
    """Without credentials the account is that of the running sandbox."""
    listener = serve("--sandbox", "--port", "0")
    ready = listener.ready
    gone = configure("--url", "none", "--yes")
    done = configure("--url", "here")

    assert gone.returncode == 0, gone.stderr
    assert done.returncode == 0, done.stderr
    assert ready["webhook_url"] in done.stdout
    assert configure("--restore").returncode == 0
    assert configure("--url", "here").returncode == 0
    assert listener.stop() == 0
    assert configure("--restore").stderr == "nothing to restore\n"  # it went with the sandbox


def test_a_change_that_twilio_is_slow_to_show_is_waited_for(configure, twilio, journal):
    """The first look after a change may still see what was before: that is no other's change."""
    answer = twilio.sandbox.app.wsgi_app
    stale = []

    def lagging(environ, start):
        is_number = "/IncomingPhoneNumbers/PN" in environ["PATH_INFO"]
        if is_number and environ["REQUEST_METHOD"] == "POST":
            stale.append(twilio.number.sms_url)
        elif is_number and stale:
            present, twilio.number.sms_url = twilio.number.sms_url, stale.pop()
            shown = [*answer(environ, start)]
            twilio.number.sms_url = present
            return shown
        return answer(environ, start)

    twilio.sandbox.app.wsgi_app = lagging
    done = configure(NUMBER, "--url", NEW, "--yes")

    assert done.returncode == 0, done.stderr
    assert twilio.number.sms_url == NEW
    assert [entry.number for entry in journal.undoable()] == [NUMBER]


# Restoring


def test_what_a_killed_run_left_is_put_back(configure, twilio, journal):
    """The original wins, the journal is cleared; a second time there is nothing to do."""
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    plan = configure("--restore", "--dry-run")

    assert "would be restored" in plan.stdout
    assert twilio.updates() == []
    done = configure("--restore")
    assert done.returncode == 0, done.stderr
    assert f"{NUMBER}  restored to GET {SHOP}  checked" in done.stdout
    assert (twilio.number.sms_url, twilio.number.sms_method) == (SHOP, "GET")
    assert journal.entries() == []
    again = configure("--restore")
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to restore" in again.stderr


def test_what_cannot_be_put_back_is_one_document(configure, twilio, journal):
    """What reads standard output gets the outcome, and the error stands on standard error."""
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    twilio.faults.add("POST", ".*IncomingPhoneNumbers.*", status=401, times=None)
    done = configure("--restore", "-o", "json")

    assert done.returncode == 9
    assert [one["outcome"] for one in json.loads(done.stdout)["restored"]] == ["failed"]
    assert "error[M1]" in done.stderr


def test_what_somebody_changed_meanwhile_is_left(configure, twilio, journal):
    """M6, exit 0, and the journal is done with."""
    twilio.number.sms_url = NEW
    left_behind(journal, twilio)
    done = configure("--restore", "-o", "json")

    assert done.returncode == 0
    assert "note[M6]" in done.stderr
    assert json.loads(done.stdout)["restored"][0]["outcome"] == "left"
    assert twilio.updates() == []
    assert journal.entries() == []


@pytest.mark.parametrize(("token", "reason"), [("f" * 32, "C2"), ("", "C11")])
def test_a_number_that_cannot_be_put_back_ends_with_9(configure, twilio, journal, token, reason):
    """M1 with the reason, and the journal is kept."""
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    done = configure(NUMBER, "--restore", env={"TWILIO_AUTH_TOKEN": token})

    assert done.returncode == 9
    assert "error[M1]" in done.stderr
    assert reason in done.stderr
    assert "NOT restored" in done.stdout
    assert [entry.number for entry in journal.entries()] == [NUMBER]


def test_one_that_is_taken_meanwhile_stops_none_of_the_others(twilio, journal):
    """A serve is started for the first in the moment before its turn."""
    other = twilio.account.add_number("+12025550111", sms_url=TUNNEL)
    twilio.number.sms_url = TUNNEL
    entries = [
        left_behind(journal, twilio),
        left_behind(journal, twilio, sid=other.sid, number=other.phone_number),
    ]
    journal.write(journal.taken_over(entries[0]), replacing=entries[0])

    outcomes = [*put_back(twilio.gateway, journal, entries, tell=lambda _event: None)]

    assert [one.outcome for one in outcomes] == ["failed", "restored"]
    assert "M4" in outcomes[0].error.line
    assert other.sms_url == SHOP


def test_debug_says_how_to_put_it_back_by_hand(smsquest_here, twilio, journal):
    """A curl line with the variables' names in the place of secrets."""
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    done = smsquest_here(
        "--debug", "configure-number", "--restore", env={"TWILIO_AUTH_TOKEN": "f" * 32}
    )

    assert done.returncode == 9
    assert f"SmsUrl={SHOP}" in done.stderr
    assert "$TWILIO_AUTH_TOKEN" in done.stderr
    assert "f" * 32 not in done.stderr


def test_several_journals_need_a_name_or_all(configure, twilio, journal):
    """M7 with the numbers, exit 5; --all puts back each, and one that fails stops no other."""
    other = twilio.account.add_number("+12025550101", sms_url=TUNNEL)
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    left_behind(journal, twilio, sid=other.sid, number=other.phone_number)
    for digit in "89":
        sid, account = ("PN" + digit * 32, "AC" + digit * 32)
        left_behind(journal, twilio, sid=sid, number=f"+1202555019{digit}", account_sid=account)
    unnamed = configure("--restore")

    assert unnamed.returncode == 5
    assert "error[M7]: 4 numbers" in unnamed.stderr
    done = configure("--restore", "--all", "-o", "json")
    outcomes = {
        one["number"]: one["outcome"] for one in json.loads(done.stdout.split("\n")[0])["restored"]
    }
    assert done.returncode == 9
    assert outcomes == {
        NUMBER: "restored",
        "+12025550101": "restored",
        "+12025550198": "failed",
        "+12025550199": "failed",
    }
    assert done.stderr.count("error[M1]") == 2
    assert twilio.number.sms_url == other.sms_url == SHOP


def test_a_stale_journal_makes_its_number_free_and_its_original_stays(configure, twilio, journal):
    """Setting over what a killed run left asks nobody; undoing it leads to the first original."""
    twilio.number.sms_url = TUNNEL
    left_behind(journal, twilio)
    done = configure(NUMBER, "--url", NEW)

    assert done.returncode == 0, done.stderr
    assert twilio.number.sms_url == NEW
    assert configure("--restore").returncode == 0
    assert (twilio.number.sms_url, twilio.number.sms_method) == (SHOP, "GET")


def test_a_number_of_a_live_run_is_refused(configure, twilio, journal):
    """M4, with who has it, also with --yes and for --restore."""
    twilio.number.sms_url = TUNNEL
    journal.write(journal.taken_over(_entry_of(twilio)), replacing=None)

    for arguments in ((NUMBER, "--url", NEW, "--yes"), ("--restore",)):
        done = configure(*arguments)
        assert done.returncode == 5
        assert "error[M4]" in done.stderr
    everything = configure("--restore", "--all")
    assert (everything.returncode, everything.stderr) == (0, "nothing to restore\n")
    assert twilio.updates() == []


def _entry_of(twilio):
    return JournalEntry(
        sid=twilio.number.sid,
        number=NUMBER,
        account_sid=ACCOUNT_SID,
        origin=twilio.origin,
        original={"sms_url": SHOP, "sms_method": "POST"},
        ours=(TUNNEL,),
        started=datetime.now(UTC),
        pid=0,
    )


@pytest.mark.parametrize(
    ("option", "arguments"),
    [("--show", ()), ("--url", (NUMBER, "--url", NEW)), ("--restore", ("--restore",))],
)
def test_the_documents_are_those_of_the_reference(configure, twilio, option, arguments):
    """Every field of them is named there, and no other."""
    assert twilio.number.sms_url == DEMO
    page = Path(__file__).parents[1] / "docs" / "reference" / "records.md"
    lines = page.read_text("utf-8").splitlines()
    [row] = [line for line in lines if f"`configure-number {option}`" in line]
    named = set(re.findall(r"[{,] ?([a-z_]+)", row.split("|")[2]))
    if option == "--restore":
        assert configure(NUMBER, "--url", NEW).returncode == 0

    document = json.loads(configure(*arguments, "-o", "json").stdout)

    fields = {*document}
    for inner in (*document.get("numbers", ()), *document.get("restored", ())):
        fields |= {*inner}
    assert fields == named
