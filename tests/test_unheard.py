"""A message that Twilio logs and that does not come here is told of, unless that is explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsquest_cli.credentials import masked
from smsquest_cli.eventlog import LogEntry, open_log
from smsquest_cli.events import Inbound, Rejected, Tunnel
from smsquest_cli.problems import CredentialsError
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, PHONE
from smsquest_cli.serving.unheard import Unheard
from smsquest_cli.twilio_api import Alert, SentMessage

START = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
SID = "SM" + "7" * 32
URL = "https://quest.example/sms"


class Gateway:
    """What Twilio has logged, by a clock that ours may be *ahead* of."""

    def __init__(self, *, ahead=0.0):
        self.clock_offset = ahead
        self.logged = []
        self.against_us = []
        self.refused = None
        self.asked_since = None

    def log(self, *, at, direction="inbound"):
        self.logged.append(
            SentMessage(
                sid=SID, status="received", direction=direction, to=NUMBER, body="", created=at
            )
        )

    def complain(self, *, at, url=URL, code=11200, sid=SID):
        self.against_us.append(Alert(sid="NO1", code=code, url=url, resource_sid=sid, at=at))

    def alerts(self, **_wanted):
        if self.refused:
            raise self.refused
        return self.against_us

    def messages(self, *, to, since, limit):
        assert (to, limit > 0) == (NUMBER, True)
        if self.refused:
            raise self.refused
        self.asked_since = since
        return self.logged


@pytest.fixture
def log(tmp_path):
    log = open_log(tmp_path / "log.db", run="ours")
    yield log
    log.close()


@pytest.fixture
def clock():
    return [START]


@pytest.fixture
def look(log, clock):
    """Look at *gateway* from `START` on, half a minute later."""

    def look(gateway, *, seconds=30.0):
        clock[0] = START
        unheard = Unheard(
            gateway, log, number=NUMBER, run="ours", urls=lambda: (URL,), now=lambda: clock[0]
        )
        clock[0] = START + timedelta(seconds=seconds)
        return [found.id for found in (*unheard.look(), *unheard.look())]

    return look


def came(at):
    return Inbound(
        ts=at, sid=SID, from_=PHONE, to=NUMBER, body="", method="POST", segments=1,
        encoding="GSM-7", signature="valid",
    )  # fmt: skip


def test_a_message_that_did_not_come_is_told_once(look):
    """The first is enough: the way is wrong, not the message."""
    gateway = Gateway()
    gateway.log(at=START + timedelta(seconds=2))

    assert look(gateway) == ["N7"]
    assert gateway.asked_since == START + timedelta(seconds=1)


@pytest.mark.parametrize(("seconds", "told"), [(21.0, []), (23.0, ["N7"])])
def test_twilio_has_time_to_call(look, seconds, told):
    """Two tries to connect, and as long for the answer of somebody slow."""
    gateway = Gateway()
    gateway.log(at=START + timedelta(seconds=2))

    assert look(gateway, seconds=seconds) == told


def test_the_clock_that_counts_is_twilios(look):
    """Ours is an hour ahead: what came just now is not an hour late."""
    gateway = Gateway(ahead=3600)
    gateway.log(at=START - timedelta(seconds=3580))

    assert look(gateway) == []
    assert look(gateway, seconds=45) == ["N7"]
    assert gateway.asked_since == START - timedelta(seconds=3599)


def test_what_is_sent_is_not_waited_for(look):
    """Only what comes in calls a webhook."""
    gateway = Gateway()
    gateway.log(at=START + timedelta(seconds=2), direction="outbound-reply")

    assert look(gateway) == []


@pytest.mark.parametrize(
    "event",
    [
        came(START + timedelta(seconds=3)),
        Rejected(ts=START + timedelta(seconds=3), path="/sms", method="POST", reason="signature"),
        Tunnel(ts=START + timedelta(seconds=1), state="down"),
    ],
    ids=["came", "refused", "tunnel"],
)
@pytest.mark.parametrize("ahead", [0, 3600])
def test_what_happened_here_explains_it(look, log, event, ahead):
    """It did come, or was refused, or could not come: all of that has its own line."""
    gateway = Gateway(ahead=ahead)
    gateway.log(at=START + timedelta(seconds=2 - ahead))
    read = gateway.messages

    def meanwhile(**wanted):
        if not log.sids(SID) and log.head() == 0:
            log.append(LogEntry(event))
        return read(**wanted)

    gateway.messages = meanwhile

    assert look(gateway) == []


def test_what_twilio_could_not_bring_is_told_once_for_each_code(look):
    """D12: while the tunnel was down, say, or because a proxy was in the way."""
    gateway = Gateway()
    for code in (11200, 11200, 11210):
        gateway.complain(at=START + timedelta(seconds=2), code=code)

    assert look(gateway) == ["D12", "D12"]


def test_what_came_and_what_is_for_others_is_no_complaint(look, log):
    """What was wrong with an answer was said with it; another number's app is not ours."""
    gateway = Gateway()
    log.append(LogEntry(came(START)))
    gateway.complain(at=START + timedelta(seconds=2))
    gateway.complain(at=START, sid="SM" + "8" * 32, url="https://shop.example/sms")

    assert look(gateway) == []


def test_one_message_is_told_with_one_cause(look):
    """What Twilio could not bring did not go elsewhere: D12, and no N7."""
    gateway = Gateway()
    gateway.log(at=START + timedelta(seconds=2))
    gateway.complain(at=START + timedelta(seconds=3))

    assert look(gateway) == ["D12"]


def test_a_stranger_at_another_time_explains_nothing(look, log):
    """A public address gets strange requests all day."""
    gateway = Gateway()
    gateway.complain(at=START + timedelta(seconds=2), sid="SM" + "8" * 32)
    at = START + timedelta(seconds=28)
    stranger = Rejected(ts=at, path="/sms", method="POST", reason="unsigned")
    alerts = gateway.alerts

    def meanwhile(**wanted):
        if log.head() == 0:
            log.append(LogEntry(stranger))
        return alerts(**wanted)

    gateway.alerts = meanwhile

    assert look(gateway) == ["D12"]


def test_what_was_refused_here_is_no_complaint(look, log):
    """Twilio logs our 403 as well; the refusal had its own line."""
    gateway = Gateway()
    gateway.complain(at=START + timedelta(seconds=2), sid="SM" + "8" * 32)
    rejected = Rejected(ts=START + timedelta(seconds=2), path="/sms", method="POST", reason="x")
    alerts = gateway.alerts

    def meanwhile(**wanted):
        if log.head() == 0:
            log.append(LogEntry(rejected))
        return alerts(**wanted)

    gateway.alerts = meanwhile

    assert look(gateway) == []


def test_a_key_that_may_not_read_the_log_is_no_event(look):
    """C4 is nobody's concern here: the number works without it."""
    gateway = Gateway()
    gateway.refused = CredentialsError("C4", action=masked(ACCOUNT_SID), permission="Messages")

    assert look(gateway) == []
