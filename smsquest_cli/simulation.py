"""A phone, and a Twilio if there is none: they bring an inbound message to a webhook.

A running ``serve --sandbox`` is asked to let its own pretend Twilio play; for any other address a
carrier plays in this process. Either way the result is the same `Exchange`.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from smsquest_cli import wire
from smsquest_cli.events import Problem
from smsquest_cli.presence import ABSENT
from smsquest_cli.problems import ExpectationError, NumberError, UsageError
from smsquest_cli.sandbox import (
    ACCOUNT_SID,
    NUMBER,
    PHONE,
    Exchange,
    Sandbox,
    SentMessage,
)
from smsquest_cli.sandbox.recorded import witness
from smsquest_cli.webhook_urls import in_ascii, shown, web_parts

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping, Sequence

    from smsquest_cli.config import Settings
    from smsquest_cli.events import Ready
    from smsquest_cli.runs import Run
    from smsquest_cli.sandbox.courier import Deliver
    from smsquest_cli.sandbox.recorded import Witness

UNFOLLOWED: Final = "T14"  # a redirect that Twilio follows, and a replay does not
SETTLE_SECONDS: Final = 30.0
INBOUND_SECONDS: Final = 45.0  # a webhook may have 15, and redirects and a fallback as much again
STOPPED: Final = (
    "the serve stopped while the message was on its way. What it received: smsquest log"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a phone sends; *scenario* and *pace* are those of the replies to it."""

    body: str
    from_: str = PHONE
    to: str | None = None
    media: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    method: str | None = None
    scenario: str | None = None
    pace: str = "real"
    unsigned: bool = False


class Phone(Protocol):
    """A phone."""

    def text(self, text: Text) -> Exchange:
        """Send *text*; returns when the webhook has been answered. Raises `SmsquestError`."""

    def delivered(self, exchange: Exchange) -> tuple[SentMessage, ...]:
        """The replies of *exchange*, once their delivery has come to its end.

        None if a serve's own sandbox carries them: its table shows them.
        """


@contextmanager
def phone_for(settings: Settings, run: Run | None, url: str | None) -> Iterator[Phone]:
    """The phone to use: one of the sandbox of *run*, or one of our own for *url* or *run*.

    Raises `UsageError`: U3 if there is neither, U6 for an invalid *url*.
    """
    if url is None and run is None:
        raise UsageError("U3", option="--url")
    parts = web_parts(url or "")
    if url is not None and (parts is None or not parts.netloc.isascii()):
        expected = shown(in_ascii(url) or "http://… or https://…")
        raise UsageError("U6", option="--url", value=shown(url), expected=expected)
    if run is None or url is not None:
        with _own_phone(settings, NUMBER, url or "", deliver=wire.send) as phone:
            yield phone
        return
    ready = run.ready
    with witness(run) as serve:
        if ready.sandbox is not None:
            yield _Informed(_SandboxPhone(run), serve)
            return
        number, deliver = ready.number or NUMBER, _Inside(ready)
        with _own_phone(settings, number, ready.webhook_url, deliver=deliver) as phone:
            yield _Informed(phone, serve)


@contextmanager
def _own_phone(
    settings: Settings, number: str, webhook: str, *, deliver: Deliver
) -> Iterator[Phone]:
    with Sandbox(
        auth_token=settings.signing_token,
        number=number,
        webhook_url=webhook,
        deliver=deliver,
        allow_remote=True,
        account_sid=settings.account_sid or ACCOUNT_SID,
    ) as sandbox:
        yield _OwnPhone(sandbox)


class _SandboxPhone:
    """A phone that a running ``serve --sandbox`` plays."""

    def __init__(self, run: Run) -> None:
        assert run.ready.sandbox is not None
        self._sandbox = run.ready.sandbox
        self._token = run.control_token or ""

    def text(self, text: Text) -> Exchange:
        return Exchange.from_record(
            self._ask(
                {
                    "from": text.from_,
                    "to": text.to or self._sandbox.number,
                    "body": text.body,
                    "media": list(text.media),
                    "parameters": dict(text.parameters),
                    "method": text.method,
                    "scenario": text.scenario,
                    "pace": text.pace,
                    "unsigned": text.unsigned,
                }
            )
        )

    def delivered(self, exchange: Exchange) -> tuple[SentMessage, ...]:
        del exchange
        return ()

    def _ask(self, asked: Mapping[str, object]) -> dict[str, Any]:
        body = json.dumps(asked).encode()
        request = wire.Request(
            "POST",
            f"{self._sandbox.api_url}/_smsquest/inbound",
            (("Content-Type", "application/json"), ("X-Smsquest-Token", self._token)),
            body,
        )
        try:
            answer = wire.send(request, timeout=INBOUND_SECONDS)
            told: dict[str, Any] = json.loads(answer.body)
        except (wire.ExchangeError, ValueError) as err:
            if isinstance(err, wire.ExchangeError) and err.kind in ABSENT:
                raise UsageError("U3", option="--url") from err  # it has just stopped
            raise ExpectationError.told("E5", STOPPED) from err
        if problem := told.get("problem"):
            raise NumberError.told(problem["id"], problem["line"])
        return told


class _Informed:
    """A phone that texts a serve, whose *witness* tells what that says about each message."""

    def __init__(self, phone: Phone, witness: Witness) -> None:
        self.delivered = phone.delivered
        self._phone = phone
        self._witness = witness

    def text(self, text: Text) -> Exchange:
        return self._witness.of(lambda: self._phone.text(text))


class _OwnPhone:
    """A phone whose carrier and Twilio are played in this process."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def text(self, text: Text) -> Exchange:
        return self._sandbox.carrier.receive(
            text.from_,
            self._sandbox.account.texted(text.to),
            text.body,
            media=text.media,
            parameters=text.parameters,
            scenario=text.scenario,
            pace=text.pace,
            method=text.method,
            unsigned=text.unsigned,
        )

    def delivered(self, exchange: Exchange) -> tuple[SentMessage, ...]:
        self._sandbox.carrier.settle(SETTLE_SECONDS, exchange.replies)
        return self._sandbox.carrier.states(exchange.replies)


class _Inside:
    """Delivers requests for a serve's public URL to its local end, as its tunnel does.

    The signature and the ``Host`` stay those of the public URL.
    """

    def __init__(self, ready: Ready) -> None:
        self._public = wire.origin_of(ready.webhook_url)
        self._local = wire.origin_of(ready.local_url)

    def __call__(
        self, request: wire.Request, *, connect_timeout: float, timeout: float
    ) -> wire.Answer:
        if wire.origin_of(request.url) == self._public and self._public != self._local:
            headers = request.headers
            if request.header("Host") is None:
                headers = (("Host", request.host), *headers)
            request = replace(request, url=self._local + request.target, headers=headers)
        return wire.send(request, connect_timeout=connect_timeout, timeout=timeout)


def verdict(
    exchanges: Sequence[Exchange],
    expected: re.Pattern[str] | None = None,
    *,
    unsigned: bool = False,
) -> None:
    """Raise `ExpectationError` unless every exchange is as it should be.

    E2 if no reply matches *expected*; E5 if the webhook gave no answer that Twilio can use, except
    that what was sent *unsigned* may be refused.
    """
    for exchange in exchanges:
        texts = [message.body for message in exchange.messages]
        sid = exchange.sid or "the message"
        if expected is not None:
            if not any(expected.search(text) for text in texts):
                found = " ".join(f'"{text}"' for text in texts) or "no reply"
                raise ExpectationError("E2", sid=sid, pattern=expected.pattern, found=found).about(
                    exchange.sid
                )
        elif (code := _failure(exchange)) is not None and not (unsigned and exchange.is_refused):
            why = f"{code}: {exchange.detail}" if exchange.detail else code
            raise ExpectationError("E5", sid=sid, why=why, code=code).about(exchange.sid)


def _failure(exchange: Exchange) -> int | str | None:
    """What went wrong, as Twilio's code or as the id of a problem that the serve recorded."""
    alerts = [alert.code for alert in exchange.alerts if alert.level == "error"]
    if exchange.recorded is None:
        errors = [one for one in exchange.findings if one.severity == "error"]
        problems = [one.id for one in errors if one.code or one.id == UNFOLLOWED]
    else:
        told = [one for one in exchange.recorded if isinstance(one, Problem)]
        problems = [one.id for one in told if one.severity == "error" and _is_of_an_answer(one.id)]
    return next((one for one in (exchange.error, *alerts, *problems) if one is not None), None)


def _is_of_an_answer(problem_id: str) -> bool:
    """Whether a problem is about the answer, not about the delivery of a message or a loop."""
    return problem_id.startswith(("A", "R", "S", "T8", "T14")) and problem_id != "R6"
