"""A handler under test: the requests that it gets, genuine or changed on their way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from smsquest_cli import signing
from smsquest_cli.limits import ANSWER_SECONDS
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.sandbox import Exchange
    from smsquest_cli.wire import Answer, Request

STRANGER: Final = ("AC" + "f" * 32, "f" * 32)


class Bench:
    """A handler at *url* under test, and all that was sent to it."""

    def __init__(
        self, url: str, *, token: str, account_sid: str | None, deliver: Callable[..., Answer]
    ) -> None:
        self.url = url
        self.token = token
        self.method = "POST"
        self.skip = ""  # why nothing more can be tried
        self.refuses = False  # even genuine requests
        self.change: Callable[[Request], Request] | None = None  # made after signing
        self.sent: list[tuple[Request, Answer | None]] = []
        self._deliver = deliver
        self._phones = iter(range(10_000))
        self._sandbox = Sandbox(
            auth_token=token,
            account_sid=account_sid or ACCOUNT_SID,
            webhook_url=url,
            deliver=self._carry,
            allow_remote=True,
            workers=0,
        )

    def text(self, body: str, **options: object) -> Exchange:
        """Text the handler from a phone of its own; *options* are those of `Carrier.receive`."""
        phone = f"+1202556{next(self._phones):04}"
        options.setdefault("method", self.method)
        return self._sandbox.carrier.receive(phone, NUMBER, body, **options)  # type: ignore[arg-type]

    def changed(self, change: Callable[[Request], Request]) -> Exchange:
        """Text the handler, but make *change* to the signed request on its way."""
        self.change = change
        try:
            return self.text("changed on its way")
        finally:
            self.change = None

    def settle(self, exchange: Exchange) -> None:
        """Have the replies of *exchange* delivered, and their statuses called back."""
        self._sandbox.carrier.settle(ANSWER_SECONDS, exchange.replies)

    def again(self, request: Request) -> Answer:
        """The answer to *request*, sent once more; raises `wire.ExchangeError`."""
        return self._carry(request, connect_timeout=5.0, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """Stop all that is under way."""
        self._sandbox.close()

    def _carry(self, request: Request, *, connect_timeout: float, timeout: float) -> Answer:
        if self.change is not None:
            request = self.change(request)
        answer = None
        try:
            answer = self._deliver(request, connect_timeout=connect_timeout, timeout=timeout)
        finally:
            self.sent.append((request, answer))
        return answer


def with_header(request: Request, name: str, value: str) -> Request:
    """*request* with one header *name*, whose value is *value*."""
    kept = [header for header in request.headers if header[0].lower() != name.lower()]
    return replace(request, headers=(*kept, (name, value)))


def _replaced(request: Request, old: str, new: str) -> Request:
    """*request* with *new* for *old* in its form and query."""
    body = request.body.replace(old.encode(), new.encode())
    changed = replace(request, url=request.url.replace(old, new), body=body)
    return with_header(changed, "Content-Length", str(len(body))) if body else changed


def with_another_body(request: Request) -> Request:
    """*request* with another text than the one that was signed."""
    return _replaced(request, quote_plus("changed on its way"), quote_plus("send me your money"))


def from_a_stranger(request: Request) -> Request:
    """*request* as another account would send it, signed with a token of its own."""
    account, token = STRANGER
    ours = request.fields.get("AccountSid")
    if not ours:  # where a redirect leads, which a stranger would follow as it is
        return request
    stranger = _replaced(request, ours, account)
    return with_header(stranger, signing.SIGNATURE_HEADER, signing.sign_request(stranger, token))
