"""The pytest fixture ``smsquest_sandbox``: a pretend Twilio that texts the app under test.

Slow imports wait until a test asks for it: pytest loads this module in every run.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from smsquest_cli.sandbox import Exchange, Sandbox
    from smsquest_cli.twiml import TwimlMessage
    from smsquest_cli.wire import Answer, Request, WsgiApp

PHONE: Final = "+12025550143"
WEBHOOK: Final = "http://localhost/sms"
SETTLE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the app did about one message that a phone sent."""

    exchange: Exchange

    def __repr__(self) -> str:
        """What a failing test shows: what came back, or why nothing did."""
        answered = self.answer.status if self.answer else None
        return f"<Reply {self.text!r}, HTTP {answered}, problems: {list(self.problems)}>"

    @property
    def sid(self) -> str:
        """The ``MessageSid`` of the message that the phone sent."""
        return self.exchange.sid or ""

    @property
    def sids(self) -> tuple[str, ...]:
        """The SIDs of the messages that go back to the phone."""
        return self.exchange.replies

    @property
    def messages(self) -> tuple[TwimlMessage, ...]:
        """The messages that go back to the phone, each with its ``body``, ``media`` and ``to``."""
        return self.exchange.messages

    @property
    def text(self) -> str:
        """The text that goes back to the phone; of several messages, one on each line."""
        return "\n".join(message.body for message in self.messages)

    @property
    def request(self) -> Request:
        """The request that the app got: ``method``, ``url``, ``headers``, ``body``."""
        assert self.exchange.request is not None
        return self.exchange.request

    @property
    def answer(self) -> Answer | None:
        """What the app answered: ``status``, ``headers``, ``body``; None if it did not."""
        return self.exchange.answer

    @property
    def error(self) -> int | None:
        """The error that Twilio would log because it cannot use the answer; None if it can."""
        return self.exchange.error

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the answer, or worth knowing, in words: ``R1: …``."""
        found = tuple(f"{found.id}: {found.line}" for found in self.exchange.findings)
        if self.exchange.request is not None and self.answer is None:
            return (f"{self.error}: {self.exchange.detail}", *found)
        return found


class Box:
    """An app under test and the phones that text it; all of it runs in the test's own thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._next: str | None = None

    def send(
        self,
        body: str = "",
        *,
        from_: str = PHONE,
        to: str | None = None,
        media: Sequence[str] = (),
        parameters: Mapping[str, str] | None = None,
        method: str | None = None,
        unsigned: bool = False,
    ) -> Reply:
        """Text the app from a phone; returns its reply, now on its way (`statuses`, `deliver`).

        *parameters* replace or add fields of Twilio's request. What a WSGI app raises is raised
        here.
        """
        scenario, self._next = self._next, None
        number = self.sandbox.account.texted(to)
        exchange = self.sandbox.carrier.receive(
            from_,
            number,
            body,
            media=media,
            parameters=parameters,
            scenario=scenario,
            method=method,
            unsigned=unsigned,
        )
        return Reply(exchange)

    def statuses(self, reply: Reply | str, message: int = 0) -> list[str]:
        """Let *reply* be delivered; returns the statuses of its *message*, in order.

        *reply* may also be the SID of a message that the app sent. ``sending`` is left out:
        Twilio tells nobody about it.
        """
        sids = _sids(reply)
        self.sandbox.carrier.settle(SETTLE_SECONDS, sids)
        if not 0 <= message < len(sids):
            plural = "" if len(sids) == 1 else "s"
            raise ValueError(f"the app replied with {len(sids)} message{plural}: no {message}")
        found = self.sandbox.carrier.states([sids[message]])
        if not found:
            raise ValueError(f"there is no message {sids[message]}")
        return [step.status for step in found[0].history if step.status != "sending"]

    def deliver(
        self, reply: Reply | str | None, scenario: str, error_code: int | None = None
    ) -> list[str]:
        """Let the delivery of *reply*, or of the next one if it is None, go as *scenario* says.

        The scenarios are those of ``smsquest simulate``: ``undelivered``, ``failed``, ``sent``,
        ``out-of-order``, ``duplicate``, ``lost``, ``delivered``. *reply* may also be the SID of a
        message that the app sent. Returns the `statuses` of *reply*. Raises `ValueError` if it has
        been delivered already, or if there is no such scenario.
        """
        from smsquest_cli.problems import UsageError
        from smsquest_cli.sandbox import Scenario

        wanted = f"{scenario}:{error_code}" if error_code else scenario
        try:
            Scenario.parse(wanted)
        except UsageError as err:
            raise ValueError(err.line.replace("--scenario", "the scenario")) from err
        if reply is None:
            self._next = wanted
            return []
        for sid in _sids(reply):
            if not self.sandbox.carrier.reroute(sid, wanted):
                raise ValueError(f"{sid} is no message that is on its way: delivered before?")
        return self.statuses(reply)

    def reorder(self, reply: Reply | str | None = None) -> list[str]:
        """Let the status callbacks of *reply*, or of the next one, arrive in reverse order."""
        return self.deliver(reply, "out-of-order")


def _sids(reply: Reply | str) -> Sequence[str]:
    """The SIDs of the messages that *reply* is."""
    sids = (reply,) if isinstance(reply, str) else reply.sids
    if not sids:
        raise ValueError("the app replied with no message")
    return sids


@pytest.fixture
def smsquest_sandbox() -> Iterator[Callable[..., Box]]:
    """Call it with an app, and text that as Twilio does.

    ``box = smsquest_sandbox(app)``, then ``reply = box.send("JOIN")``. The app is a WSGI
    application (Flask, Django …), called in the test's own thread, or the URL of one on this
    computer. Requests are signed with *auth_token*: by default TWILIO_AUTH_TOKEN if that is set,
    else the sandbox token (32 zeros). *url* is what a WSGI app is called as.
    """
    from smsquest_cli import wire
    from smsquest_cli.sandbox import SANDBOX_TOKEN, Sandbox, to_wsgi

    with ExitStack() as opened:

        def open_box(
            app: WsgiApp | str,
            *,
            url: str = WEBHOOK,
            auth_token: str | None = None,
            **options: Any,  # noqa: ANN401
        ) -> Box:
            is_url = isinstance(app, str)
            sandbox = Sandbox(
                auth_token=auth_token or os.environ.get("TWILIO_AUTH_TOKEN") or SANDBOX_TOKEN,
                webhook_url=app if isinstance(app, str) else url,
                deliver=wire.send if isinstance(app, str) else to_wsgi(app),
                allow_remote=not is_url,  # an app in this process is the only one that is called
                workers=0,
                **options,
            )
            return Box(opened.enter_context(sandbox))

        yield open_box
