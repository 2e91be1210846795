"""What a running serve has recorded of a message that it was sent, in the place of guesses.

Who called it sees its answer only; the serve knows its app's, and has judged that.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsquest_cli.eventlog import open_log
from smsquest_cli.events import Inbound, Problem, Reply
from smsquest_cli.wire import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.events import Ready
    from smsquest_cli.runs import Run
    from smsquest_cli.sandbox.exchanges import Exchange
    from smsquest_cli.twiml import Finding

TYPES: Final = (Inbound.type, Reply.type, Problem.type)
ANSWERS: Final = ("A", "S")  # families of what an app does wrong, and a serve is none


@contextmanager
def witness(run: Run) -> Iterator[Witness]:
    """The witness of what *run* is sent meanwhile."""
    log = open_log(run.store, run=run.id)
    try:
        yield Witness(run, log)
    finally:
        log.close()


class Witness:
    """Looks up in *log* what *run* says of each message that it is sent."""

    def __init__(self, run: Run, log: EventLog) -> None:
        self._run = run
        self._log = log

    def of(self, send: Callable[[], Exchange]) -> Exchange:
        """The exchange that *send* makes, with what the serve has recorded of it."""
        before = self._log.head()  # of a SID that comes again, what was said earlier is over
        exchange = send()
        if exchange.request is None or not _is_ours(self._run.ready, exchange.request.url):
            return exchange
        found = self._log.read(
            before, sids=(exchange.sid or "",), types=TYPES, run=self._run.id
        ).events
        recorded = [one.event for one in found if isinstance(one.event, Inbound | Reply | Problem)]
        told = {event.id for event in recorded if isinstance(event, Problem)}
        by_app = self._run.ready.forward_to is not None and any(
            isinstance(event, Reply) for event in recorded
        )
        judged = [*_judged(exchange, self._run.ready, by_app=by_app)]
        recorded += [
            finding.problem(at=datetime.now(UTC), sid=exchange.sid)
            for finding in exchange.findings
            if finding not in judged and finding.id not in told
        ]
        return replace(exchange, recorded=tuple(recorded))


def _judged(exchange: Exchange, ready: Ready, *, by_app: bool) -> Iterator[Finding]:
    """What looked wrong with the serve's own answers: it has said itself what is, if anything."""
    for visit in exchange.visits:
        if visit.document is not None and _is_ours(ready, visit.fetch.request.url):
            for found in visit.document.findings:
                if by_app or found.id.startswith(ANSWERS):
                    yield found


def _is_ours(ready: Ready, url: str) -> bool:
    return origin_of(url) in (origin_of(ready.webhook_url), origin_of(ready.local_url))
