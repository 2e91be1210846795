"""A number is never left pointed at us, or what it was is on disk: in all that can happen."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pretend_twilio import pretend_twilio

from smsquest_cli import patience
from smsquest_cli.diagnosis import route_of
from smsquest_cli.journal import Journal, JournalEntry
from smsquest_cli.pointing import Handling, Pointing, pointed_at, restore
from smsquest_cli.problems import (
    CredentialsError,
    LocalError,
    NotRestoredError,
    NumberError,
    TwilioRefusedError,
)
from smsquest_cli.sandbox import NUMBER
from smsquest_cli.twilio_api import RefusedRequestError

OLD = "https://api.shop.example/sms"
OURS = "https://brave-otter.ngrok-free.app/sms"
MOVED = "https://calm-fox.ngrok-free.app/sms"
THEIRS = "https://colleague.ngrok-free.app/sms"


@pytest.fixture
def twilio(tmp_path):
    with pretend_twilio(tmp_path, http=False) as twilio:
        twilio.number.sms_url, twilio.number.sms_method = OLD, "GET"
        yield twilio


@pytest.fixture
def gateway(twilio):
    return Unreliable(twilio.gateway(in_process=True))


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "state")


class CrashError(BaseException):
    """The process is gone: nothing of it runs any more."""


class Unreliable:
    """A gateway that can fail: `before` and `after` are called around each of its calls."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.before = self.after = lambda _name: None

    def __getattr__(self, name):
        found = getattr(self.gateway, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self.before(name)
            result = found(*args, **kwargs)
            self.after(name)
            return result

        return call


class Told(list):
    """What was told: the actions and the ids of the problems, in order."""

    def __call__(self, event):
        self.append(event)

    @property
    def words(self):
        return [getattr(event, "action", None) or event.id for event in self]

    def of(self, word):
        return next(e for e in self if word in (getattr(e, "action", None), getattr(e, "id", "")))


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def handling(told):
    return Handling(tell=told, pause=0, patience=0.3)


@pytest.fixture
def point(gateway, journal, handling, twilio):
    """Have the account's number call us for the length of a block."""

    def point(url=OURS, **options):
        route = options.pop("route", None) or route_of(gateway, gateway.number(twilio.number.sid))
        return pointed_at(
            gateway, route, url, **{"journal": journal, "handling": handling, **options}
        )

    return point


def stale(journal):
    """Make the entries of the journal those of a process that was killed."""
    for path in journal.folder.glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "process": "long gone"}))


def unreachable(_name):
    raise TwilioRefusedError("W2", host="api.twilio.com", reason="no network")


def crashing(_name):
    raise CrashError


# The ordinary way


def test_a_number_calls_us_and_is_put_back(twilio, point, journal, told):
    """While the block runs it calls us; after it everything is as it was, method included."""
    before = twilio.number.sms_url, twilio.number.sms_method
    twilio.number.sms_fallback_url = "https://x.example/fallback"
    twilio.number.voice_url = "https://x.example/voice"

    with point() as pointing:
        assert (twilio.number.sms_url, twilio.number.sms_method) == (OURS, "POST")
        [entry] = journal.entries()
        assert dict(entry.original) == {"sms_url": OLD, "sms_method": "GET"}
        assert pointing.restored is None
        assert pointing.original_words == OLD
        assert pointing.check()

    assert (twilio.number.sms_url, twilio.number.sms_method) == before
    assert twilio.number.sms_fallback_url == "https://x.example/fallback"
    assert twilio.number.voice_url == "https://x.example/voice"
    assert pointing.restored
    assert journal.entries() == []
    assert told.words == ["pointed", "restored"]
    assert (told[0].number, told[0].url, told[0].previous) == (NUMBER, OURS, OLD)
    assert (told[1].url, told[1].previous) == (OLD, OURS)


def test_the_journal_is_on_disk_before_the_number_is_changed(point, gateway, journal):
    """Journal, change, read back: in this order."""
    seen = []
    gateway.before = lambda name: seen.append((name, len(journal.entries())))

    with point():
        assert [step for step in seen if step[0] in ("set_number", "number")][-3:] == [
            ("number", 0),
            ("set_number", 1),
            ("number", 1),
        ]


@pytest.mark.parametrize("original", ["", "https://demo.twilio.com/welcome/sms/reply"])
def test_empty_is_put_back_as_empty(twilio, point, original):
    """M2: exactly what was there, also where that was nothing."""
    twilio.number.sms_url = original

    with point():
        pass

    assert twilio.number.sms_url == original


def test_an_error_inside_passes_when_the_number_is_back(twilio, point, journal):
    """Whatever ends the block, the number is put back first."""
    with pytest.raises(ZeroDivisionError), point():
        raise ZeroDivisionError

    assert twilio.number.sms_url == OLD
    assert journal.entries() == []


def test_what_we_put_back_ourselves_is_not_taken_for_a_colleagues_change(point, told):
    """A look at the number that comes late, as the run ends, says nothing (M4)."""
    with point() as pointing:
        assert pointing.check()

    assert not pointing.check()
    assert not pointing.taken_over
    assert told.words == ["pointed", "restored"]


def test_a_twiml_app_is_detached_and_put_back(twilio, point, journal):
    """N6: while it is set Twilio ignores every URL of the number."""
    app = twilio.account.add_application(sms_url="https://x.example/app")
    twilio.number.sms_application_sid = app.sid

    with point():
        assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (OURS, "")
        assert journal.entries()[0].original["sms_application_sid"] == app.sid

    assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (OLD, app.sid)


def test_a_service_is_pointed_in_the_place_of_its_number(twilio, point, journal):
    """E7: the journal holds the service's own fields; the number is not touched."""
    service = twilio.account.add_service("shop", NUMBER, inbound_method="GET")

    with point() as pointing:
        assert (service.inbound_request_url, service.inbound_method) == (OURS, "POST")
        assert twilio.number.sms_url == OLD
        [entry] = journal.entries()
        assert (entry.sid, entry.number) == (service.sid, NUMBER)
        assert pointing.check()

    assert (service.inbound_request_url, service.inbound_method) == (None, "GET")
    assert not service.use_inbound_webhook_on_number
    assert journal.entries() == []


def test_a_service_that_defers_is_not_touched(twilio, point):
    """Where the number's own webhook counts, that is pointed."""
    service = twilio.account.add_service("shop", NUMBER, use_inbound_webhook_on_number=True,
                                         inbound_request_url="https://x.example/in")  # fmt: skip

    with point():
        assert twilio.number.sms_url == OURS
        assert service.inbound_request_url == "https://x.example/in"


def test_a_number_may_be_left_on_purpose(twilio, point, journal, told):
    """`--keep`: no note nags, and `--restore` can still put it back."""
    with point(keep=True):
        pass

    assert twilio.number.sms_url == OURS
    [entry] = journal.entries()
    assert entry.kept
    assert journal.notes(at=datetime.now(UTC)) == ()
    assert told.words == ["pointed", "left"]


def test_a_run_after_one_that_kept_restores_the_first_original(twilio, point):
    """What the first run found is the original, not its own address."""
    with point(keep=True):
        pass
    with point():
        pass

    assert twilio.number.sms_url == OLD


# Other people


def test_what_somebody_else_has_set_stays(twilio, point, journal, told):
    """M6: compared before restoring; theirs is left, ours is archived."""
    with point() as pointing:
        twilio.number.sms_url = THEIRS

    assert twilio.number.sms_url == THEIRS
    assert pointing.restored is None
    assert journal.entries() == []
    assert [path.name[:2] for path in (journal.folder / "archive").iterdir()] == ["PN"]
    assert told.words == ["pointed", "M6", "left"]
    assert told.of("M6").line == (
        f"{NUMBER} left as is: somebody changed it to {THEIRS} while smsquest ran (before: {OLD})"
    )


def test_a_colleague_is_noticed_while_we_run(twilio, point, journal, told):
    """E11: told once, then it is theirs, and nothing is restored."""
    with point() as pointing:
        twilio.number.sms_url = THEIRS
        assert not pointing.check()
        assert not pointing.check()
        pointing.repoint(MOVED)
        assert pointing.taken_over

    assert twilio.number.sms_url == THEIRS
    assert told.words == ["pointed", "M4", "taken-over"]
    assert told.of("M4").severity == "warning"
    assert f"was re-pointed to {THEIRS}" in told.of("M4").line
    assert journal.entries() == []
    assert pointing.restored is None


def test_keep_leaves_a_number_that_was_taken_over(twilio, point, journal):
    """There is nothing of ours to keep then."""
    with point(keep=True) as pointing:
        twilio.number.sms_url = THEIRS
        pointing.check()

    assert journal.entries() == []


def test_an_app_that_somebody_set_over_our_url_stays(twilio, point, told):
    """It is told once; the URL below it is put back, the app is theirs."""
    app = twilio.account.add_application(sms_url="https://x.example/app")
    with point() as pointing:
        twilio.number.sms_application_sid = app.sid
        assert not pointing.check()
        assert not pointing.check()

    assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (OLD, app.sid)
    assert told.words == ["pointed", "M4", "restored"]
    assert "is answered by TwiML app AP" in told.of("M4").line


def test_a_service_that_somebody_had_defer_stays_so(twilio, point, told):
    """Its address is put back, the setting is theirs."""
    service = twilio.account.add_service("shop", NUMBER, inbound_request_url=OLD)
    with point() as pointing:
        service.use_inbound_webhook_on_number = True
        assert not pointing.check()

    assert (service.inbound_request_url, service.use_inbound_webhook_on_number) == (OLD, True)
    assert "answers for itself again" in told.of("M4").line


def test_somebody_who_puts_it_back_by_hand_is_right(twilio, point, journal, told):
    """Nothing is left to do."""
    with point() as pointing:
        twilio.number.sms_url, twilio.number.sms_method = OLD, "GET"

    assert pointing.restored
    assert journal.entries() == []
    assert told.words == ["pointed", "restored"]


def test_what_changed_since_it_was_looked_at_is_not_overwritten(twilio, gateway, point, journal):
    """Between the question and the change somebody may have been faster (N16)."""
    route = route_of(gateway, gateway.number(twilio.number.sid))
    twilio.number.sms_url = THEIRS

    with pytest.raises(NumberError) as caught, point(route=route):
        pytest.fail("not reached")

    assert (caught.value.id, twilio.number.sms_url) == ("N16", THEIRS)
    assert f"but Twilio says {THEIRS}" in caught.value.line
    assert journal.entries() == []


def test_a_change_that_is_not_confirmed_is_undone(twilio, gateway, point, journal):
    """N16, exit 5: somebody wrote at the same moment; theirs stays."""

    def overwritten(name):
        if name == "set_number":
            twilio.number.sms_url = THEIRS

    gateway.after = overwritten
    with pytest.raises(NumberError) as caught, point():
        pytest.fail("not reached")

    assert (caught.value.id, caught.value.exit_code) == ("N16", 5)
    assert twilio.number.sms_url == THEIRS
    assert journal.entries() == []


def test_what_is_put_back_is_read_back_too(twilio, gateway, point, journal):
    """An update that Twilio takes and does not keep restores nothing: M1, and the journal."""

    def overruled(name):
        if name == "set_number":
            twilio.number.sms_url = OURS

    with pytest.raises(NotRestoredError, match="N16"), point() as pointing:
        gateway.after = overruled

    assert (pointing.restored, twilio.number.sms_url) == (False, OURS)
    assert [entry.original_url for entry in journal.entries()] == [OLD]


def test_a_number_that_was_released_needs_no_restoring(twilio, point, journal, told):
    """It is not on the account any more: nothing is left to put back."""
    with point() as pointing:
        twilio.account.numbers.clear()

    assert pointing.restored is None
    assert journal.entries() == []
    assert told.of("N18").line.startswith(f"{NUMBER} is no longer on the account")


def test_a_number_that_is_released_while_we_run_is_told_once(twilio, point, journal, told):
    """It is not asked for again, and nothing is put back."""
    with point() as pointing:
        twilio.account.numbers.clear()
        assert [pointing.check(), pointing.check()] == [False, False]

    assert pointing.restored is None
    assert journal.entries() == []
    assert told.words == ["pointed", "N18"]


def test_credentials_that_are_refused_meanwhile_are_told_once(twilio, gateway, point, told):
    """C13: a rotated token leaves the number to whoever has the new one; it may be back, too."""

    def refused(_name):
        raise CredentialsError("C2", what="no", source="environment")

    with point() as pointing:
        for _ in range(2):
            gateway.before = refused
            assert pointing.check()
            assert pointing.check()
            gateway.before = lambda _name: None
            assert pointing.check()

    assert told.words == ["pointed", "C13", "C13", "restored"]
    assert told.of("C13").line.endswith("Restart smsquest with the new ones")
    assert twilio.number.sms_url == OLD


def test_two_runs_exclude_each_other(twilio, point, journal):
    """M4, exit 5: the second never gets as far as the number."""
    with point():
        with pytest.raises(NumberError, match=r"M4: .*is in use by smsquest pid"), point(MOVED):
            pytest.fail("not reached")
        assert twilio.number.sms_url == OURS
        assert len(journal.entries()) == 1

    assert twilio.number.sms_url == OLD


def test_a_refusal_does_not_settle_what_an_earlier_time_out_left_open(twilio, gateway, point):
    """The first change may still take effect, so the original is written though it stands there."""

    def refused(name):
        if name == "set_number":
            raise RefusedRequestError(action="x", status=400, code=21402, message="no")

    with point() as pointing:
        for failure in (unreachable, refused):
            gateway.before = lambda name, fail=failure: name == "set_number" and fail(name)
            with pytest.raises(TwilioRefusedError):
                pointing.repoint(MOVED)
        gateway.before = lambda _name: None
        twilio.number.sms_url, twilio.number.sms_method = OLD, "GET"
        changed = len(twilio.updates())

    assert len(twilio.updates()) == changed + 1
    assert pointing.restored is True


def test_a_journal_that_others_keep_changing_is_given_up(point, journal, monkeypatch):
    """It is not a reason to wait for ever."""
    monkeypatch.setattr(journal, "write", lambda _entry, replacing: bool(replacing))

    with pytest.raises(NumberError, match=r"M4: .*Try again"), point():
        pytest.fail("not reached")


def test_a_journal_that_was_exchanged_under_us_is_said(twilio, point, journal):
    """An entry that is not ours any more is not overwritten."""
    with point() as pointing:
        [path] = journal.folder.glob("*.json")
        path.unlink()
        with pytest.raises(NumberError, match=r"M4: .*Try again"):
            pointing.repoint(MOVED)

    assert twilio.number.sms_url == OLD


# The tunnel moves


def test_a_new_address_of_the_tunnel(twilio, point, journal, told):
    """T5: the number follows; the original in the journal stays the first one."""
    with point() as pointing:
        pointing.repoint(MOVED)
        assert twilio.number.sms_url == MOVED
        [entry] = journal.entries()
        assert (entry.original_url, entry.ours) == (OLD, (OURS, MOVED))
        pointing.repoint(OURS)
        assert journal.entries()[0].ours == (MOVED, OURS)

    assert twilio.number.sms_url == OLD
    assert told.words == ["pointed", "T5", "pointed", "T5", "pointed", "restored"]


def test_a_tunnel_that_moves_while_something_covers_the_number(twilio, point):
    """A colleague tries a TwiML app: when that is gone again the number calls the new address."""
    with point() as pointing:
        app = twilio.account.add_application(sms_url=THEIRS)
        twilio.number.sms_application_sid = app.sid
        assert not pointing.check()
        pointing.repoint(MOVED)
        twilio.number.sms_application_sid = ""

        assert pointing.check()
        assert twilio.number.sms_url == MOVED

    assert twilio.number.sms_url == OLD


def test_a_failed_move_can_be_tried_again_and_is_put_back(twilio, gateway, point):
    """Twilio is away just then: the number still has the old address, which is ours too."""
    with point() as pointing:
        gateway.before = lambda name: unreachable(name) if name == "set_number" else None
        with pytest.raises(TwilioRefusedError):
            pointing.repoint(MOVED)
        assert twilio.number.sms_url == OURS
        gateway.before = lambda _name: None
        pointing.repoint(MOVED)
        assert twilio.number.sms_url == MOVED

    assert twilio.number.sms_url == OLD


def test_check_says_nothing_while_twilio_cannot_be_asked(gateway, point, told):
    """No answer is no news."""
    with point() as pointing:
        gateway.before = unreachable
        assert pointing.check()
        gateway.before = lambda _name: None

    assert told.words == ["pointed", "restored"]


# Twilio is away


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_update_without_an_answer_is_undone(twilio, gateway, point, journal, when):
    """Nobody knows whether it came through: either way the number is as it was."""

    def lost(name):
        if name == "set_number":
            setattr(gateway, when, lambda _name: None)
            unreachable(name)

    setattr(gateway, when, lost)
    with pytest.raises(TwilioRefusedError, match="W2"), point():
        pytest.fail("not reached")

    assert (twilio.number.sms_url, twilio.number.sms_method) == (OLD, "GET")
    assert journal.entries() == []
    # also where it looks untouched: the update may still be on its way
    assert sum(request.startswith("POST") for request in twilio.requests) == (
        1 if when == "before" else 2
    )


def test_putting_back_is_tried_for_a_while(twilio, gateway, point, journal):
    """A moment without network is no reason to leave the number."""
    failures = iter(range(3))

    def flaky(name):
        if next(failures, None) is not None:
            unreachable(name)

    with point() as pointing:
        gateway.before = flaky

    assert twilio.number.sms_url == OLD
    assert pointing.restored
    assert journal.entries() == []


def test_without_twilio_the_journal_stays(twilio, gateway, point, journal, told):
    """M1, exit 9: the number could not be put back, and the way to do it later is said."""
    with pytest.raises(NotRestoredError) as caught, point() as pointing:
        gateway.before = unreachable

    assert (caught.value.id, caught.value.exit_code) == ("M1", 9)
    assert caught.value.line.startswith(f"could not restore {NUMBER} (W2: ")
    assert caught.value.line.endswith(f"Later: smsquest configure-number {NUMBER} --restore")
    assert pointing.restored is False
    assert twilio.number.sms_url == OURS
    [entry] = journal.entries()
    assert entry.original_url == OLD
    assert told.words == ["pointed"]


def test_not_put_back_beats_what_went_wrong_before(gateway, point):
    """The exit code is that of M1; the first error is its context."""

    def refuse_all(_name):
        raise CredentialsError("C2", what="revoked", source="environment")

    def work():
        with point():
            gateway.before = refuse_all
            raise ZeroDivisionError

    with pytest.raises(NotRestoredError) as caught:
        work()

    assert "C2: revoked" in caught.value.line
    error = caught.value
    while error is not None and not isinstance(error, ZeroDivisionError):
        error = error.__context__
    assert error is not None


def test_a_refusal_for_good_is_not_tried_again(gateway, point):
    """A key that was revoked does not come back within ten seconds."""
    asked = []

    def revoked(name):
        asked.append(name)
        raise CredentialsError("C2", what="revoked", source="environment")

    with pytest.raises(NotRestoredError), point():
        gateway.before = revoked

    assert asked == ["number"]


def test_a_request_that_hangs_holds_nobody(gateway, point, journal):
    """Twilio does not answer at all: after the patience is up, the journal stays."""
    released = threading.Event()

    def hang(_name):
        released.wait(20)

    started = time.monotonic()
    with pytest.raises(NotRestoredError, match="no answer yet"), point():
        gateway.before = hang
    released.set()

    assert time.monotonic() - started < 5
    assert journal.entries()


def test_who_waits_for_the_restoring_is_told(gateway, point, told, monkeypatch):
    """After Ctrl-C a silent screen would make people press it again."""
    monkeypatch.setattr(patience, "SECONDS", 0.001)
    said, heard = [], threading.Event()

    def hear(line):
        said.append(line)
        heard.set()

    with point(handling=Handling(tell=told, say=hear, patience=20)):
        gateway.before = lambda _name: heard.wait(10)

    assert said == [f"restoring {NUMBER} …"]
    assert told.words == ["pointed", "restored"]


def test_somebody_who_gives_up_does_not_wait(gateway, point, told, journal):
    """The third Ctrl-C: exit 9 at once, with the journal on disk."""
    released = threading.Event()
    insisted = threading.Event()
    impatient = Handling(tell=told, give_up=insisted.is_set, patience=60)

    def hang(_name):
        insisted.set()
        released.wait(20)

    started = time.monotonic()
    with pytest.raises(NotRestoredError), point(handling=impatient):
        gateway.before = hang
    released.set()

    assert time.monotonic() - started < 5
    assert journal.entries()


def test_a_change_that_twilio_is_slow_to_show_is_waited_for(gateway, point, twilio):
    """The first answer after a change may still be the old one."""
    fetch = gateway.gateway.number
    answers = []

    def behind(sid):
        number = fetch(sid)
        if twilio.number.sms_url == OURS and not answers:
            answers.append("old")
            twilio.number.sms_url = OLD
            number = fetch(sid)
            twilio.number.sms_url = OURS
        return number

    gateway.gateway.number = behind
    with point() as pointing:
        assert pointing.check()

    assert answers == ["old"]


def test_a_disk_that_is_full_changes_nothing(twilio, point, tmp_path):
    """L4: without a journal no number is changed."""
    (tmp_path / "state" / "journal").write_text("in the way")

    with pytest.raises(LocalError, match="L4"), point():
        pytest.fail("not reached")

    assert twilio.number.sms_url == OLD
    assert twilio.updates() == []


def test_a_recorder_that_fails_does_not_keep_the_number(twilio, point, journal):
    """What happened is told after it has happened: a full disk there is said, not obeyed."""

    def full(event):
        if getattr(event, "action", "") == "restored":
            raise LocalError("L3", path="x")

    with pytest.raises(LocalError, match="L3"), point(handling=Handling(tell=full, pause=0)):
        pass

    assert twilio.number.sms_url == OLD
    assert journal.entries() == []


# Fallback without URL


def test_a_fallback_without_url_cannot_be_put_back(twilio, gateway, point, told):
    """N13: Twilio stores no fallback without a URL (21406); the rest is put back."""
    number = twilio.number
    number.sms_url, number.sms_fallback_url = "", "https://x.example/fallback"
    refused = []

    def strict(sid, fields):
        if fields.get("sms_url") == "" and "sms_fallback_url" not in fields:
            refused.append(fields)
            raise RefusedRequestError(
                action="update the phone number", status=400, code=21406, message="no"
            )
        return change(sid, fields)

    change, gateway.gateway.set_number = gateway.gateway.set_number, strict
    with point() as pointing:
        assert number.sms_fallback_url == "https://x.example/fallback"

    assert (number.sms_url, number.sms_fallback_url) == ("", "")
    assert pointing.restored
    assert len(refused) == 1
    assert told.words == ["pointed", "N13", "restored"]


def test_a_refusal_to_read_is_not_taken_for_a_number_that_is_gone(twilio, point, journal):
    """Only 404 means that: for anything else the journal stays."""
    with pytest.raises(NotRestoredError, match="W1: Twilio refused to read"), point():
        twilio.faults.add("GET", "/IncomingPhoneNumbers/", status=403, times=None)

    assert journal.entries()


def test_another_refusal_to_put_back_is_told(twilio, point, journal):
    """A TwiML app that was deleted meanwhile cannot be attached again: M1, and the journal."""
    app = twilio.account.add_application(sms_url="https://x.example/app")
    twilio.number.sms_application_sid = app.sid

    with pytest.raises(NotRestoredError, match="21420"), point():
        del twilio.account.applications[app.sid]

    assert journal.entries()


# Crashes


def test_after_a_crash_the_first_original_wins(twilio, gateway, point, journal, told):
    """M3: also where the address is the same as before (a static domain)."""
    with pytest.raises(CrashError), point():
        gateway.before = crashing
    gateway.before = lambda _name: None
    stale(journal)
    assert twilio.number.sms_url == OURS

    with point():
        assert journal.entries()[0].original_url == OLD

    assert (twilio.number.sms_url, twilio.number.sms_method) == (OLD, "GET")
    assert journal.entries() == []
    assert told.words[-2:] == ["pointed", "restored"]


def test_what_somebody_set_after_a_crash_is_the_original(twilio, gateway, point, journal, told):
    """The dead run's original is history then (M6), and theirs is put back when we stop."""
    with pytest.raises(CrashError), point():
        gateway.before = crashing
    gateway.before = lambda _name: None
    stale(journal)
    twilio.number.sms_url = THEIRS

    with point():
        assert journal.entries()[0].original_url == THEIRS

    assert twilio.number.sms_url == THEIRS
    assert told.words[-4:] == ["M6", "left", "pointed", "restored"]


def test_a_crash_before_the_change_loses_no_app(twilio, gateway, point, journal):
    """The journal of a run that came no further still holds all that it was about to change."""
    app = twilio.account.add_application(sms_url="https://x.example/app")
    twilio.number.sms_application_sid = app.sid
    gateway.before = lambda name: crashing(name) if name == "set_number" else None
    with pytest.raises(CrashError), point():
        pytest.fail("not reached")
    gateway.before = lambda _name: None
    stale(journal)
    assert twilio.number.sms_application_sid == app.sid

    with point():
        assert twilio.number.sms_application_sid == ""

    assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (OLD, app.sid)


def test_an_app_that_was_set_after_a_crash_is_put_back(twilio, gateway, point, journal):
    """Of the app too what somebody set last is what counts."""
    old, new = (twilio.account.add_application(friendly_name=name) for name in ("old", "new"))
    twilio.number.sms_application_sid = old.sid
    with pytest.raises(CrashError), point():
        gateway.before = crashing
    gateway.before = lambda _name: None
    stale(journal)
    twilio.number.sms_application_sid = new.sid

    with point():
        assert twilio.number.sms_application_sid == ""

    assert (twilio.number.sms_url, twilio.number.sms_application_sid) == (OLD, new.sid)


# Restoring later


@pytest.fixture
def crashed(twilio, gateway, point, journal):
    """The journal entry of a run that was killed; the number still calls it."""
    with pytest.raises(CrashError), point():
        gateway.before = crashing
    gateway.before = lambda _name: None
    stale(journal)
    assert twilio.number.sms_url == OURS
    return journal.entries()[0]


def test_a_crash_is_put_right_later(twilio, gateway, journal, handling, told, crashed):
    """`configure-number --restore`: put back and read back."""
    told.clear()

    assert restore(gateway, crashed, journal=journal, handling=handling)

    assert (twilio.number.sms_url, twilio.number.sms_method) == (OLD, "GET")
    assert journal.entries() == []
    assert told.words == ["restored"]


def test_restoring_leaves_what_somebody_has_set(twilio, gateway, journal, crashed):
    """M6, and it is no failure."""
    twilio.number.sms_url = THEIRS

    assert restore(gateway, crashed, journal=journal) is None

    assert twilio.number.sms_url == THEIRS
    assert journal.entries() == []


def test_restoring_without_twilio_keeps_the_journal(gateway, journal, handling, crashed):
    """M1, exit 9, as often as it takes."""
    gateway.before = unreachable

    with pytest.raises(NotRestoredError):
        restore(gateway, crashed, journal=journal, handling=handling)

    assert journal.entries() == [crashed]  # whose run is named as the one that left it


def test_a_run_that_is_still_there_is_not_restored_under_it(gateway, point, journal):
    """M4: it will do so itself."""
    with point(), pytest.raises(NumberError, match="M4"):
        restore(gateway, journal.entries()[0], journal=journal)


def test_a_number_of_another_account_is_not_asked_for(twilio, gateway, journal, crashed):
    """M1 says whose credentials it takes."""
    (path,) = journal.folder.glob("*.json")
    changed = {"account_sid": "AC" + "7" * 32, "origin": None}
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    asked = len(twilio.requests)

    with pytest.raises(NotRestoredError, match="belongs to AC77…77, not to the account in use"):
        restore(gateway, journal.entries()[0], journal=journal)
    with pytest.raises(NotRestoredError, match=r"AC00…00 at http://127\.0\.0\.1:2, not"):
        restore(gateway, _at(crashed, "http://127.0.0.1:2"), journal=journal)

    assert len(twilio.requests) == asked


def _at(entry, origin):
    values = {name: getattr(entry, name) for name in JournalEntry.__slots__}
    return JournalEntry(**{**values, "origin": origin})


def test_a_number_is_pointed_on_behalf_of_a_run(gateway, journal, handling, twilio):
    """`configure-number --url here`: when that run is gone, the journal says so."""
    pointing = Pointing(gateway, journal, handling)

    pointing.point(route_of(gateway, gateway.number(twilio.number.sid)), OURS, owner=1)

    [entry] = journal.entries()
    assert entry.pid == 1
    assert journal.is_live(entry)


# Everything at once


class AnyInterleaving(RuleBasedStateMachine):
    """Runs, crashes, colleagues, moving tunnels, outages: in any order.

    ``wanted`` is what the number must call once nobody of ours runs and Twilio is there: what
    somebody else set last.
    """

    def __init__(self):
        super().__init__()
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.context = pretend_twilio(Path(self.folder.name), http=False)
        self.twilio = self.context.__enter__()
        self.number = self.twilio.number
        self.gateway = Unreliable(self.twilio.gateway(in_process=True))
        self.journal = Journal(Path(self.folder.name) / "state")
        self.down = False
        # Patient while Twilio answers, however busy this computer is.
        self.handling = Handling(pause=0, patience=20, give_up=lambda: self.down)
        self.number.sms_url = self.wanted = OLD
        self.run = None

    def teardown(self):
        self.twilio_is_there()
        if self.run is not None:
            self.stop()
        self.restore()
        assert self.number.sms_url == self.wanted
        assert self.journal.entries() == []
        self.context.__exit__(None, None, None)
        self.folder.cleanup()

    def is_up(self):
        return self.gateway.before("number") is None

    @rule()
    def twilio_is_there(self):
        self.down = False
        self.gateway.before = lambda _name: None

    @rule()
    def twilio_is_away(self):
        self.down = True
        self.gateway.before = unreachable

    @precondition(lambda self: self.run is None)
    @rule(url=st.sampled_from([OURS, MOVED]), answer=st.sampled_from(["fine", "lost", "crash"]))
    def start(self, url, answer):
        def after(name):
            if name == "set_number" and answer != "fine":
                self.gateway.after = lambda _name: None
                if answer == "crash":
                    self.gateway.before = crashing
                    raise CrashError
                unreachable(name)

        self.gateway.after = after
        try:
            route = route_of(self.gateway, self.gateway.number(self.number.sid))
            context = pointed_at(
                self.gateway, route, url, journal=self.journal, handling=self.handling
            )
            pointing = context.__enter__()
        except (TwilioRefusedError, NotRestoredError):
            stale(self.journal)  # the program ends with that
        except CrashError:
            stale(self.journal)
            self.twilio_is_there()
        else:
            self.run = context, pointing
        self.gateway.after = lambda _name: None

    @precondition(lambda self: self.run is not None)
    @rule()
    def stop(self):
        context, _ = self.run
        self.run = None
        try:
            context.__exit__(None, None, None)
        except NotRestoredError:
            assert self.down
        stale(self.journal)

    @precondition(lambda self: self.run is not None)
    @rule()
    def crash(self):
        context, _ = self.run
        self.run = None
        before, self.gateway.before = self.gateway.before, crashing
        with suppress(CrashError):  # of a number that is somebody else's nothing is asked any more
            context.__exit__(CrashError, CrashError(), None)
        self.gateway.before = before
        stale(self.journal)

    @precondition(lambda self: self.run is not None)
    @rule(url=st.sampled_from([OURS, MOVED]))
    def the_tunnel_moves(self, url):
        try:
            self.run[1].repoint(url)
        except TwilioRefusedError:
            assert self.down

    @precondition(lambda self: self.run is not None)
    @rule()
    def look(self):
        self.run[1].check()

    @rule(url=st.sampled_from([THEIRS, "https://new.shop.example/sms", ""]))
    def a_colleague_points_it(self, url):
        self.number.sms_url = self.wanted = url

    @precondition(lambda self: self.run is None)
    @rule()
    def restore(self):
        for entry in self.journal.entries():
            try:
                restore(self.gateway, entry, journal=self.journal, handling=self.handling)
            except NotRestoredError:
                assert self.down
                stale(self.journal)

    @invariant()
    def the_number_is_right_or_the_journal_knows(self):
        url = self.number.sms_url
        entries = self.journal.entries()
        if url in (OURS, MOVED):
            assert [entry.original_url for entry in entries] == [self.wanted]
            assert url in entries[0].ours
        else:
            assert url == self.wanted


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(
    max_examples=25,
    stateful_step_count=14,
    suppress_health_check=[HealthCheck.too_slow],
)
