"""A contract test of somebody's webhook handler: what Twilio may send it, and what it must answer.

Each check sends real, signed requests from phones of its own, so that none disturbs another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from smsquest_cli import console, signing, wire
from smsquest_cli.answers import SLOW_MS
from smsquest_cli.check.bench import Bench, from_a_stranger, with_another_body, with_header
from smsquest_cli.check.verdicts import Verdict, accepted, refused, unanswered
from smsquest_cli.credentials import SANDBOX_TOKEN
from smsquest_cli.patience import unless_quick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smsquest_cli.sandbox import Exchange
    from smsquest_cli.wire import Answer

ODD_TEXT: Final = "Tom & Jerry <3 1+1=2 100%\nsecond line, \N{GRINNING FACE} \u00fc"
PICTURE: Final = "https://demo.twilio.com/owl.png"

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
class Check:
    """One promise of a handler, and how it is tried."""

    id: str
    title: str
    run: Callable[[Bench], Verdict]
    needs_trust: bool = True  # skipped if the app refuses genuine requests


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
        return unanswered(exchange)
    if answer.status in _MISSING:
        by_get = bench.text("hello from smsquest check", method="GET")
        if by_get.answer is not None and by_get.answer.status not in _MISSING:
            bench.method, exchange = "GET", by_get
        else:
            bench.skip = "no handler there"
    verdict = accepted(exchange)
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
    return accepted(exchange)


def _unsigned(bench: Bench) -> Verdict:
    return refused(bench.text("from a stranger", unsigned=True))


def _tampered(bench: Bench) -> Verdict:
    return refused(bench.changed(with_another_body))


def _other_account(bench: Bench) -> Verdict:
    return refused(bench.changed(from_a_stranger))


def _picture(bench: Bench) -> Verdict:
    return accepted(bench.text("", media=(PICTURE,)))


def _empty(bench: Bench) -> Verdict:
    return accepted(bench.text(""))


def _odd_text(bench: Bench) -> Verdict:
    return accepted(bench.text(ODD_TEXT))


def _repeated(bench: Bench) -> Verdict:
    first = accepted(bench.text("delivered twice"))
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
    verdict = accepted(exchange)
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
            answer = bench.again(with_header(request, signing.SIGNATURE_HEADER, signature))
        except wire.ExchangeError:
            return None
        if answer.status < 300:  # noqa: PLR2004
            return words, problem_id
    return None


def failed(results: list[Result]) -> list[Result]:
    """Those of *results* that did not hold."""
    return [result for result in results if result.state == "problem"]
