"""A listening session: start in order, run a view, undo in reverse.

Bind the port, serve, let Twilio's requests in (`entrances`), be ready; then show what the event
log brings until something ends the run. All that was changed is on one stack and is undone in
reverse, whatever happened.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsquest_cli import console, events
from smsquest_cli.eventlog import LogEntry
from smsquest_cli.files import write_state
from smsquest_cli.inbox import Inbox
from smsquest_cli.problems import ExpectationError, LocalError, SmsquestError, TunnelError
from smsquest_cli.runs import Run, announced, running
from smsquest_cli.server import bind, later
from smsquest_cli.signals import Signals, StopRequested
from smsquest_cli.views import make_view
from smsquest_cli.webhooks import create_app

if TYPE_CHECKING:
    import re
    from pathlib import Path

    from smsquest_cli.eventlog import EventLog, Stored
    from smsquest_cli.forwarding import Forwarder
    from smsquest_cli.serving.entrances import Entrance, Trust
    from smsquest_cli.views import Header, View
    from smsquest_cli.webhooks import Receiver

IDLE_SECONDS: Final = 3600.0  # news wakes a run; this only bounds one wait
FORWARDING_THREADS: Final = 64  # each holds one request of the developer's own app
ANSWERING_THREADS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """When a run has had enough: *until* matching messages are answered, or *timeout* seconds."""

    until: int | None = None
    match: re.Pattern[str] | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run is on this computer: its id, folder, event log, port and ready file."""

    run_id: str
    home: Path
    store: str
    port: int | None = None
    ready_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """How a run is shown: as *output*; with tracebacks of its errors if *debug*."""

    output: console.Output
    debug: bool = False

    def show_error(self, error: SmsquestError) -> None:
        """Say what ended the run."""
        console.show_error(error, output=self.output, debug=self.debug)


@dataclass(frozen=True, slots=True)
class Answers:
    """What answers messages, as the header says it; and the app, if an app does."""

    label: str
    words: str
    app: Forwarder | None = None


class Session:
    """One ``serve`` from start to stop; `run` returns its exit code."""

    def __init__(
        self,
        place: Place,
        *,
        log: EventLog,
        receiver: Receiver,
        entrance: Entrance,
        trust: Trust,
        goal: Goal,
        screen: Screen,
        answers: Answers,
    ) -> None:
        self._place = place
        self._log = log
        self._receiver = receiver
        self._entrance = entrance
        self._trust = trust
        self._goal = goal
        self._screen = screen
        self._answers = answers
        self._app = answers.app
        self._inbox = Inbox()  # for what went out: which callbacks belong to which reply
        self._received = self._matching = self._answered = 0  # each message counts once
        self._unanswered: set[str] = set()  # matching ones: an app may take its time
        self._signals = Signals(entrance.insist, to_the_end=True)
        self._view: View | None = None
        self._cursor = log.start
        self._reason = "error"

    def run(self) -> int:
        """Start, show, stop; all that was changed is put back before this returns."""
        code, told = 1, None
        gone = console.ReaderGoneError
        with suppress(gone), self._signals, ExitStack() as shown:
            try:
                with ExitStack() as undone:
                    self._start(undone, shown)
                    self._receive()
                code = 0
            except StopRequested:
                code = self._signals.exit_code
                if self._view is not None and self._signals.reason == "interrupt":
                    code = 0  # Ctrl-C of a run that put everything back is its normal end
                if self._view is None and self._entrance.restored is not False:
                    console.begin_line()
                    console.say("nothing changed.")
            except gone:  # | head has seen enough
                code, self._reason = 0, "interrupt"
            except SmsquestError as err:
                code, told = err.exit_code, err.id
                if isinstance(err, TunnelError):
                    self._reason = "tunnel"
                self._screen.show_error(err)
            finally:
                try:
                    self._finish()
                except LocalError as err:  # from the log, which may be why it ended
                    code = code or err.exit_code
                    if err.id != told:
                        self._screen.show_error(err)
        return code

    def _start(self, undone: ExitStack, shown: ExitStack) -> None:
        entrance = self._entrance
        self._forget_ready()  # a job that waits for the file must not find that of another run
        with self._signals.interruptible():
            entrance.prepare()
        listening = bind(self._place.port)
        undone.callback(listening.close)
        if self._app is not None:
            self._app.refuse(listening.url)
        if listening.note is not None:
            entrance.tell("A1", severity="note", **listening.note)
        threads = FORWARDING_THREADS if self._app else ANSWERING_THREADS
        app = later(lambda: create_app(self._receiver))
        undone.enter_context(listening.serving(app, threads=threads, quick=self._receiver))
        undone.callback(self._receiver.close)
        with self._signals.interruptible():
            entrance.open(undone, listening.url, self._receiver.move)
        if self._app is not None:
            self._app.refuse(entrance.base_url)
        self._signals.check()
        # Never cut short: signals are looked at before the change, and once it can be undone.
        entrance.point(undone, self._signals.check)
        self._signals.check()
        self._announce(undone, shown, listening.url)

    def _announce(self, undone: ExitStack, shown: ExitStack, local_url: str) -> None:
        """Say that we are ready: to the log, the ready file, other commands, and on the screen."""
        verify = self._trust.verifier is not None
        ready = self._entrance.ready(local_url, self._app, verify=verify)
        position = self._log.head()
        self._log.append(LogEntry(ready))
        if self._place.ready_file is not None:
            record = json.dumps(events.to_record(ready)) + "\n"
            write_state(self._place.ready_file, record, option="--ready-file")
            undone.callback(self._forget_ready)
        run = Run(self._place.run_id, ready, self._place.store, self._entrance.control_token)
        undone.enter_context(announced(self._place.home, run))
        output = self._screen.output
        if output is not console.Output.JSON:  # earlier news has been shown on the way
            self._cursor = position
        self._view = shown.enter_context(make_view(output, header=self._header()))
        with self._signals.interruptible():
            if self._app is not None:
                self._app.watch(self._tell)
            self._entrance.catch_up()

    def _forget_ready(self) -> None:
        """Remove the ready file, if it belongs to this run or to one that is gone."""
        path = self._place.ready_file
        if path is None:
            return
        others = {run.ready.pid for run in running(self._place.home)} - {os.getpid()}
        with suppress(OSError, ValueError, LookupError, TypeError):
            if json.loads(path.read_text("utf-8"))["pid"] not in others:
                path.unlink()

    def _header(self) -> Header:
        """The entrance's header, with who answers and how requests are known to be genuine."""
        header = self._entrance.header()
        more = [(self._answers.label, self._answers.words)]
        if self._trust.verifier is None or self._entrance.sandbox is None:
            more.append(("verify", self._trust.words))
        labelled = sum(1 for label, _ in header.lines if label)
        at = next((i for i, (label, _) in enumerate(header.lines) if not label), labelled)
        return replace(header, lines=(*header.lines[:at], *more, *header.lines[at:]))

    def _tell(self, problem: events.Problem) -> None:
        with suppress(LocalError):  # whoever reads the log gets the error
            self._log.append(LogEntry(problem))

    def _receive(self) -> None:
        """Show what comes until the goal is reached; raises whatever else ends the run."""
        limit = float("inf") if self._goal.timeout is None else self._goal.timeout
        deadline = time.monotonic() + limit
        while True:
            self._show_news()
            if self._goal.until is not None and self._answered >= self._goal.until:
                self._reason = "until"
                return
            self._entrance.check()
            left = deadline - time.monotonic()
            if left <= 0:
                self._reason = "timeout"
                raise ExpectationError("E1", **self._shortfall())
            with self._signals.interruptible():
                patience = min(left, self._patience())
                self._log.wait(self._cursor, patience, others=False)  # only this run is shown

    def _patience(self) -> float:
        """How long to wait for news: until the view has something to catch up on."""
        due = self._view.due() if self._view is not None else None
        waits = [wait for wait in (due, self._entrance.retry_after) if wait is not None]
        return min([*waits, IDLE_SECONDS])

    def _show_news(self) -> None:
        """Count and show everything recorded since the last look."""
        while True:
            batch = self._log.read(self._cursor, run=self._place.run_id)
            if batch.cursor == self._cursor:
                break
            self._cursor = batch.cursor
            for stored in batch.events:
                self._count(stored)
            news = [stored.event for stored in batch.events]
            if self._view is not None and news:
                self._view.show(news)
        if self._view is not None:
            self._view.refresh()

    def _count(self, stored: Stored) -> None:
        self._inbox.apply(stored.event)
        match stored.event:
            case events.Inbound(missed=False, sid=sid, body=body) if self._is_new(stored):
                self._received += 1
                if self._goal.match is None or self._goal.match.search(body):
                    self._matching += 1
                    self._unanswered.add(sid)
            case events.Reply(in_reply_to=sid) if sid in self._unanswered:
                self._unanswered.remove(sid)
                self._answered += 1

    def _is_new(self, stored: Stored) -> bool:
        """Whether the message is here for the first time in this run."""
        event = stored.event
        assert isinstance(event, events.Inbound)
        if not event.duplicate:  # in no run at all
            return True
        run, types = self._place.run_id, (events.Inbound.type,)
        first, *_ = self._log.read(0, sids=(event.sid,), run=run, types=types, limit=1).events
        return first.position == stored.position

    def _shortfall(self) -> dict[str, object]:
        """The words of E1: what was waited for, how long, and what came."""
        kind = "matching messages" if self._goal.match else "messages"
        wanted = self._goal.until
        came = self._matching
        found = f"{came} came" if wanted else f"{_counted(came, kind)} came"
        if self._answered < came:
            found += f", {self._answered} answered"
        return {
            "expected": _counted(wanted, kind) if wanted else "stopped",
            "seconds": f"{self._goal.timeout:g}",
            "found": found if came else f"{found}. {self._entrance.why_silent()}",
        }

    def _finish(self) -> None:
        """Write and show the last record of the run."""
        if self._signals.reason is not None and self._reason == "error":
            self._reason = self._signals.reason
        if self._view is None:
            return
        with suppress(console.ReaderGoneError):  # the last record is not for the screen alone
            self._show_news()
        totals = self._inbox.totals
        self._log.append(
            LogEntry(
                events.Stopped(
                    ts=datetime.now(UTC),
                    reason=self._reason,
                    inbound=self._received,
                    outbound=totals.outbound,
                    problems=totals.problems,
                    restored=self._entrance.restored,
                )
            )
        )
        self._show_news()
        if self._screen.output is console.Output.TABLE and self._entrance.next_step:
            console.say(self._entrance.next_step)


def _counted(number: int, things: str) -> str:
    return f"{number} {things if number != 1 else things.removesuffix('s')}"
