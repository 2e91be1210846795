"""A contract test of somebody's webhook handler: what Twilio may send it, and what it must answer.

Each check sends real, signed requests from phones of its own, so that none disturbs another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from smsquest_cli import console, signing, wire
from smsquest_cli.answers import SLOW_MS, excerpt
from smsquest_cli.credentials import SANDBOX_TOKEN
from smsquest_cli.limits import ANSWER_SECONDS
from smsquest_cli.patience import unless_quick
from smsquest_cli.presence import address_of
from smsquest_cli.problems import catalogue
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, Sandbox
from smsquest_cli.webhook_urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smsquest_cli.sandbox import Exchange
    from smsquest_cli.wire import Answer, Request

ODD_TEXT: Final = "Tom & Jerry <3 1+1=2 100%\nsecond line, \N{GRINNING FACE} \u00fc"
PICTURE: Final = "https://demo.twilio.com/owl.png"
STRANGER: Final = ("AC" + "f" * 32, "f" * 32)

_MISSING: Final = (404, 405)  # nothing takes this method there


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found: ``state`` is ok, problem or skipped; ``fix`` says what to do.

    ``problem`` is the id of the catalogue that says more, if there is one.
    """

    id: str
    title: str
    state: str
    line: str
    problem: str | None = None
    fix: str | None = None
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, before it becomes a `Result`."""

    state: str
    line: str
    problem: str | None = None
    advice: str | None = None  # if the catalogue's does not fit

    @property
    def fix(self) -> str | None:
        """What to do about it."""
        if self.advice or not self.problem:
            return self.advice
        return catalogue()[self.problem].next_step


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of a handler, and how it is tried."""

    id: str
    title: str
    run: Callable[[Bench], Verdict]
    needs_trust: bool = True  # skipped if the app refuses genuine requests


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


def check(
    url: str,
    *,
    token: str,
    account_sid: str | None = None,
    deliver: Callable[..., Answer] = wire.send,
) -> Iterator[Result]:
    """Try every check of `CHECKS` on the handler at *url*, signing with *token*."""
    bench = Bench(url, token=token, account_sid=account_sid, deliver=deliver)
    try:
        for one in CHECKS:
            started = time.monotonic()
            why = bench.skip or (one.needs_trust and bench.refuses and "see the first check")
            if why:
                verdict = Verdict("skipped", why)
            else:
                with unless_quick(partial(console.say, f"waiting for the app: {one.title} …")):
                    verdict = one.run(bench)
            ms = (time.monotonic() - started) * 1000
            yield Result(
                one.id,
                one.title,
                verdict.state,
                verdict.line,
                verdict.problem,
                verdict.fix,
                round(ms, 1),
            )
    finally:
        bench.close()


# The checks


def _signed(bench: Bench) -> Verdict:
    exchange = bench.text("hello from smsquest check")
    answer = exchange.answer
    if answer is None:
        bench.skip = "not reachable"
        return _unanswered(exchange)
    if answer.status in _MISSING:
        by_get = bench.text("hello from smsquest check", method="GET")
        if by_get.answer is not None and by_get.answer.status not in _MISSING:
            bench.method, exchange = "GET", by_get
        else:
            bench.skip = "no handler there"
    verdict = _accepted(exchange)
    bench.refuses = exchange.is_refused
    if bench.refuses and (wrong := _accepts_instead(bench, exchange)):
        return Verdict("problem", f"{verdict.line}; it accepts one {wrong[0]}", wrong[1])
    return verdict


def _other_method(bench: Bench) -> Verdict:
    other = "GET" if bench.method == "POST" else "POST"
    exchange = bench.text("hello by another method", method=other)
    if exchange.answer is not None and exchange.answer.status in (*_MISSING, 501):
        line = f"takes {bench.method} only: leave the method of the number at that"
        return Verdict("skipped", f"{exchange.answer.status}, {line}")
    return _accepted(exchange)


def _unsigned(bench: Bench) -> Verdict:
    return _refused(bench.text("from a stranger", unsigned=True))


def _tampered(bench: Bench) -> Verdict:
    return _refused(bench.changed(_with_another_body))


def _other_account(bench: Bench) -> Verdict:
    return _refused(bench.changed(_from_a_stranger))


def _picture(bench: Bench) -> Verdict:
    return _accepted(bench.text("", media=(PICTURE,)))


def _empty(bench: Bench) -> Verdict:
    return _accepted(bench.text(""))


def _odd_text(bench: Bench) -> Verdict:
    return _accepted(bench.text(ODD_TEXT))


def _repeated(bench: Bench) -> Verdict:
    first = _accepted(bench.text("delivered twice"))
    if first.state != "ok":
        return first
    request, before = bench.sent[-1]
    assert before is not None
    try:
        answer = bench.again(request)
    except wire.ExchangeError as err:
        return Verdict("problem", f"the second time no answer: {err.detail}", "S8")
    if answer.status >= 400:  # noqa: PLR2004
        return Verdict("problem", f"{answer.status} the second time", "S8")
    return Verdict("ok", f"{before.status}, then {answer.status}")


def _stop(bench: Bench) -> Verdict:
    exchange = bench.text("STOP")
    verdict = _accepted(exchange)
    if verdict.state == "ok" and exchange.messages:
        return Verdict("ok", f"{verdict.line} (Twilio does not deliver it: 21610)")
    return verdict


def _statuses(bench: Bench) -> Verdict:
    found = []
    for scenario in ("delivered", "out-of-order", "duplicate"):
        position = len(bench.sent)
        exchange = bench.text(f"reply that is {scenario}", scenario=scenario)
        bench.settle(exchange)
        found += [
            (request, answer)
            for request, answer in bench.sent[position:]
            if "MessageStatus" in request.fields
        ]
    if not found:
        return Verdict("skipped", "the replies ask for none (action, statusCallback)")
    bad = [
        f"{answer.status if answer else 'no answer'} by {request.method} {request.url}"
        for request, answer in found
        if answer is None or answer.status >= 300  # noqa: PLR2004
    ]
    if bad:
        fix = "Answer every status callback with 200 or 204, whatever came before it."
        return Verdict("problem", f"{len(bad)} of {len(found)} refused: {bad[0]}", "D2", fix)
    return Verdict("ok", f"{len(found)} callbacks, late and repeated ones too")


def _in_time(bench: Bench) -> Verdict:
    slowest = max((answer.ms for _, answer in bench.sent if answer is not None), default=0.0)
    late = sum(1 for _, answer in bench.sent if answer is None)
    line = f"the slowest of {len(bench.sent)} took {slowest:.0f} ms"
    if late or slowest >= SLOW_MS:
        line += f", {late} gave no answer" if late else ""
        return Verdict("problem", line, "A7")
    return Verdict("ok", line)


CHECKS: Final = (
    Check("signed", "a signed request is accepted", _signed),
    Check("method", "GET is taken like POST", _other_method),
    Check("unsigned", "a request without signature is refused", _unsigned, needs_trust=False),
    Check("tampered", "a changed request is refused", _tampered, needs_trust=False),
    Check(
        "other-account",
        "a request of another account is refused",
        _other_account,
        needs_trust=False,
    ),
    Check("mms", "a picture without text is taken", _picture),
    Check("empty-body", "an empty text is taken", _empty),
    Check("odd-text", "emoji, +, &, < and line breaks are taken", _odd_text),
    Check("repeated", "the same message may come twice", _repeated),
    Check("stop", "STOP is taken", _stop),
    Check("statuses", "status callbacks are taken in any order", _statuses),
    Check("in-time", "every answer comes in time", _in_time, needs_trust=False),
)


# What answers mean


def _accepted(exchange: Exchange) -> Verdict:
    """Whether the app gave an answer that Twilio can use."""
    answer = exchange.answer
    graver = [found for found in exchange.findings if found.severity == "error"]
    milder = [found for found in exchange.findings if found.severity == "warning"]
    if answer is None:
        return _unanswered(exchange)
    took = f"{answer.status}, {answer.ms:.0f} ms"
    if exchange.is_refused:
        by_get = exchange.request is not None and exchange.request.method == "GET"
        return Verdict("problem", f"{took}: {excerpt(answer)}", "S5" if by_get else "S10")
    if exchange.error is not None or graver:
        found = next(iter(graver or milder), None)
        why = found.line if found else f"Twilio cannot use it ({exchange.error})"
        if found and found.id == "A11":
            why = excerpt(answer)
        return Verdict("problem", f"{took}: {why}", found.id if found else None)
    said = " ".join(f'"{message.body}"' for message in exchange.messages) or "no reply"
    notes = "".join(f"; {found.line}" for found in milder)
    return Verdict("ok", f"{took}: {said}{notes}")


def _refused(exchange: Exchange) -> Verdict:
    answer = exchange.answer
    if answer is not None and exchange.is_refused:
        return Verdict("ok", f"{answer.status}, {answer.ms:.0f} ms")
    if redirected := _redirected(exchange):
        fix = "Answer 403 to what Twilio did not sign: a redirect is followed, as a GET."
        return Verdict("problem", f"{redirected} instead of 403", "T14", fix)
    if answer is None:
        return _unanswered(exchange)
    return Verdict("problem", f"{answer.status} instead of 403", "S11")


def _redirected(exchange: Exchange) -> str | None:
    """The first redirect that the app answered with: ``302 to /login``; None if there is none."""
    for hop in exchange.visits[0].fetch.hops:
        answer = hop.answer
        if answer is not None and 300 <= answer.status < 400:  # noqa: PLR2004
            return f"{answer.status} to {shown(answer.header('Location') or 'nowhere')}"
    return None


def _unanswered(exchange: Exchange) -> Verdict:
    """An app that gave no answer: nobody is there, or it took too long, or it broke."""
    hop = exchange.visits[0].fetch.hops[-1]
    failure, line = hop.failure, f"no answer: {exchange.detail}"
    if failure == "refused":
        line = f"nothing listens on {address_of(hop.request.url)}"
    if failure in ("refused", "connect-timeout", "dns"):
        return Verdict("problem", line, "T8", "Start the app; look at the URL.")
    return Verdict("problem", line, "A7" if failure == "timeout" else "A14")


def _accepts_instead(bench: Bench, exchange: Exchange) -> tuple[str, str] | None:
    """A wrong signature that the app accepts, in words, and the problem's id; None if none is."""
    request = exchange.request
    if request is None:
        return None
    scheme, _, rest = request.url.partition("://")
    other = "http" if scheme == "https" else "https"
    path, mark, query = request.url.partition("?")
    slash = path[:-1] if path.endswith("/") else path + "/"
    tries = [
        (f"that is signed for {other}", f"{other}://{rest}", bench.token, "S1"),
        ("that is signed for another slash at the end", slash + mark + query, bench.token, "S4"),
        ("of the sandbox (32 zeros for a token)", request.url, SANDBOX_TOKEN, "S10"),
    ]
    for words, url, token, problem_id in tries:
        if (url, token) == (request.url, bench.token):
            continue
        signature = signing.sign_request(replace(request, url=url), token)
        try:
            answer = bench.again(_with(request, signing.SIGNATURE_HEADER, signature))
        except wire.ExchangeError:
            return None
        if answer.status < 300:  # noqa: PLR2004
            return words, problem_id
    return None


def _with(request: Request, name: str, value: str) -> Request:
    kept = [header for header in request.headers if header[0].lower() != name.lower()]
    return replace(request, headers=(*kept, (name, value)))


def _replaced(request: Request, old: str, new: str) -> Request:
    """*request* with *new* for *old* in its form and query."""
    body = request.body.replace(old.encode(), new.encode())
    changed = replace(request, url=request.url.replace(old, new), body=body)
    return _with(changed, "Content-Length", str(len(body))) if body else changed


def _with_another_body(request: Request) -> Request:
    return _replaced(request, quote_plus("changed on its way"), quote_plus("send me your money"))


def _from_a_stranger(request: Request) -> Request:
    account, token = STRANGER
    ours = request.fields.get("AccountSid")
    if not ours:  # where a redirect leads, which a stranger would follow as it is
        return request
    stranger = _replaced(request, ours, account)
    return _with(stranger, signing.SIGNATURE_HEADER, signing.sign_request(stranger, token))


def failed(results: list[Result]) -> list[Result]:
    """Those of *results* that did not hold."""
    return [result for result in results if result.state == "problem"]
