"""Twilio in miniature: a pretend account, its REST API, and a carrier that signs and delivers.

For people without an account, for our own tests, and for other people's: `Sandbox.play` texts an
app and says what came of it, `Sandbox.app` is the REST API that Twilio's SDKs work against.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from smsquest_cli import wire
from smsquest_cli.credentials import SANDBOX_TOKEN
from smsquest_cli.sandbox.account import ACCOUNT_SID, NUMBER, PHONE, Account, Kind
from smsquest_cli.sandbox.carrier import Carrier
from smsquest_cli.sandbox.courier import Courier, Deliver, to_wsgi
from smsquest_cli.sandbox.exchanges import Exchange, SentMessage
from smsquest_cli.sandbox.faults import Faults
from smsquest_cli.sandbox.scenario import Pace, Scenario
from smsquest_cli.sandbox.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

__all__ = [
    "ACCOUNT_SID", "NUMBER", "PHONE", "SANDBOX_TOKEN",
    "Account", "Carrier", "Exchange", "Pace", "Sandbox", "Scenario", "SentMessage", "to_wsgi",
]  # fmt: skip


class Sandbox:
    """A pretend Twilio: its `account`, its `carrier`, its REST API (`app`).

    *webhook_url* is what the account's *number* calls. *deliver* brings webhooks to the app:
    `wire.send`, or `to_wsgi` for one in this process. It calls nothing but this computer unless
    *allow_remote*. With *workers* 0 there are no threads: the replies move while `settle` or
    `play` waits for them. *pace* is that of messages that name no other. With a *seed* all
    SIDs are the same in every run.
    """

    def __init__(  # noqa: PLR0913  # each has a good default
        self,
        *,
        auth_token: str = SANDBOX_TOKEN,
        account_sid: str = ACCOUNT_SID,
        number: str | None = NUMBER,
        webhook_url: str = "",
        kind: Kind = "full",
        deliver: Deliver = wire.send,
        allow_remote: bool = False,
        pace: str = "instant",
        workers: int = 4,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int | None = None,
    ) -> None:
        self.account = Account(
            auth_token=auth_token,
            sid=account_sid,
            number=number,
            webhook_url=webhook_url,
            kind=kind,
            now=now,
            seed=seed,
        )
        self.faults = Faults()
        self.control_token = secrets.token_hex(32)
        self._timeline = Timeline(workers=workers)
        courier = Courier(
            auth_token,
            deliver,
            allow_remote=allow_remote,
            uuid=lambda: self.account.sids.uuid(),  # noqa: PLW0108  # `reset` makes new ones
        )
        self.carrier = Carrier(self.account, courier, self._timeline, pace=pace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def app(self) -> Flask:
        """The REST API as a WSGI application."""
        from smsquest_cli.sandbox.api import create_app

        return create_app(self)

    def play(
        self,
        body: str = "",
        *,
        from_: str = PHONE,
        to: str | None = None,
        timeout: float = 15.0,
        **options: Any,  # noqa: ANN401
    ) -> Exchange:
        """Let a phone text the account's number, and wait until all that comes of it has happened.

        *options* are those of `Carrier.receive`.
        """
        to = to or next((number.phone_number for number in self.account.numbers.values()), "")
        exchange = self.carrier.receive(from_, to, body, **options)
        self.carrier.settle(timeout)
        return exchange

    def reset(self) -> None:
        """Forget all that happened and was set up; the number is as it was in the beginning."""
        self._timeline.clear()
        self.faults.clear()
        self.account.reset()

    def close(self) -> None:
        """Stop all that is under way."""
        self.faults.clear()
        self._timeline.close()
