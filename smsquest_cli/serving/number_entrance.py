"""A real number, pointed here through a public URL: looked at first, put back at the end."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from smsquest_cli import console, events
from smsquest_cli.diagnosis import (
    brought_along,
    choose_number,
    concern_about,
    menu,
    named_service,
    route_of,
)
from smsquest_cli.journal import Journal
from smsquest_cli.messages import opt_out_of
from smsquest_cli.patience import unless_quick
from smsquest_cli.pointing import Handling, Pointing, pointed_at
from smsquest_cli.problems import (
    CredentialsError,
    LocalError,
    NumberError,
    TunnelError,
    TwilioRefusedError,
)
from smsquest_cli.segments import segment
from smsquest_cli.serving.entrances import Entrance
from smsquest_cli.serving.unheard import Unheard
from smsquest_cli.tunnel import NgrokSettings, NgrokTunnel, TunnelChange, public_url, self_test
from smsquest_cli.twilio_api import TwilioGateway
from smsquest_cli.views import Header
from smsquest_cli.webhook_urls import SMS, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from smsquest_cli.config import Settings
    from smsquest_cli.diagnosis import Route
    from smsquest_cli.eventlog import EventLog

RECHECK_SECONDS: Final = 30.0  # how often the number is read again while we serve
NEW_TUNNEL_SECONDS: Final = 10.0
GIVEN_URL_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 5.0  # between tries to point the number at a tunnel that moved
GIVE_UP_COUNT: Final = 3  # this many signals end the tries to put the number back


class NumberEntrance(Entrance):
    """A number of the account at a public URL, ngrok's or one that the user has."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        *,
        run_id: str,
        given_url: str | None = None,
        via_service: bool = False,
        keep: bool = False,
        yes: bool = False,
        backfill: datetime | None = None,
    ) -> None:
        """Raises `CredentialsError` if there are none, `UsageError` for a bad *given_url*."""
        super().__init__(settings, log, run_id=run_id)
        self.mode = "tunnel" if given_url is None else "public"
        self._given = (
            None
            if given_url is None
            else public_url(given_url, allow_local=settings.twilio_is_local)
        )
        self._via_service = via_service
        self._keep = keep
        self._yes = yes
        self._backfill = backfill
        self._gateway = TwilioGateway(settings.rest_credentials(), say=console.say)
        self._journal = Journal(settings.home)
        self._route: Route | None = None
        self._pointing: Pointing | None = None
        self._signals = 0
        self._along: list[str] = []  # further numbers that a Messaging Service brings here
        self._changes: SimpleQueue[TunnelChange] = SimpleQueue()
        self._moved: Callable[[str], None] = lambda _url: None
        self._moved_to: str | None = None  # by the tunnel, and Twilio does not know it yet
        self._ms = 0.0
        self._original = ""

    def prepare(self) -> None:
        """Choose the number, find out who answers it, and ask if something would be lost."""
        now = datetime.now(UTC)
        for note in self._settings.notes(at=now):
            if note.id != "C5":  # said when it was found out
                self.announce(note)
        number = choose_number(self._gateway, self._settings.number, pick=menu())
        route = route_of(self._gateway, number)
        if obstacle := route.obstacle(via_service=self._via_service):
            raise obstacle
        for note in route.notes(at=now):
            if note.id != "N6" or self._yes:  # otherwise the question names that
                self.announce(note)
        entry = self._journal.entry(self._sid(route))
        if entry is not None:
            self._journal.refuse_live(entry)
        ours = entry.ours if entry else ()
        self._along = brought_along(self._gateway, route)
        concern = concern_about(route, ours=ours, others=self._along, now=now)
        if concern is not None and not self._yes:
            console.confirm(concern.question, concern.error)
        self._route = route
        self.number, self.number_sid = number.phone_number, number.sid

    def open(self, undone: ExitStack, local_url: str, moved: Callable[[str], None]) -> None:
        """Open the tunnel, and send ourselves a request through it."""
        self._moved = moved
        undone.callback(self._gateway.close)
        if self._given is not None:
            self.base_url = self._given
        else:
            tunnel = NgrokTunnel.open(
                local_url,
                self._ngrok(),
                on_change=self._tunnel_changed,
                verify=lambda url: self_test(url, self._run_id, timeout=3.0),
            )
            undone.callback(tunnel.close)
            self.base_url = tunnel.url
        moved(self.base_url)
        # A tunnel that was opened just now may need a moment; one that was there does not.
        patience = NEW_TUNNEL_SECONDS if self._given is None else GIVEN_URL_SECONDS
        with unless_quick(lambda: console.say(f"waiting for {self.base_url} to lead here …")):
            self._ms = self_test(self.base_url, self._run_id, timeout=patience)
        self.record(events.Tunnel(ts=datetime.now(UTC), state="up", url=self.base_url))

    def point(self, undone: ExitStack, last_call: Callable[[], None]) -> None:
        """Point the number here, unless *last_call* raises; it is put back when *undone* is."""
        assert self._route is not None
        undone.callback(self._remember)
        handling = Handling(
            tell=self.record,
            say=console.say,
            last_call=last_call,
            give_up=lambda: self._signals >= GIVE_UP_COUNT,
        )
        self._pointing = undone.enter_context(
            pointed_at(
                self._gateway,
                self._route,
                self.base_url + SMS,
                journal=self._journal,
                handling=handling,
                keep=self._keep,
            )
        )
        self._original = self._pointing.original_words
        watching = threading.Event()
        watch = threading.Thread(
            target=self._watch, args=(watching,), name="number watch", daemon=True
        )
        watch.start()
        undone.callback(watching.set)

    def catch_up(self) -> None:
        """Record the messages of ``--backfill`` that no run here has received."""
        if self._backfill is None:
            return
        for message in reversed(self._gateway.messages(to=self.number, since=self._backfill)):
            if not message.is_inbound or self._log.sids(message.sid):
                continue
            self.record(
                events.Inbound(
                    ts=message.sent or message.created or datetime.now(UTC),
                    sid=message.sid,
                    from_=message.from_ or "",
                    to=message.to,
                    body=message.body,
                    method="POST",
                    segments=message.segments or 1,
                    encoding=segment(message.body).encoding,
                    signature="unchecked",
                    opt_out=opt_out_of(message.body),
                    missed=True,
                )
            )

    def check(self) -> None:
        """Follow the tunnel where it went; raises `TunnelError` (T22) when it is lost for good."""
        while True:
            try:
                change = self._changes.get_nowait()
            except Empty:
                break
            if change.state == "lost":
                raise TunnelError("T22", reason=change.reason)
            if change.state == "changed":
                self._moved_to = change.url
        if self._moved_to is not None:
            self._follow(self._moved_to)

    def header(self) -> Header:
        """What leads where, and what stopping does."""
        keeping = "leaves the number pointed here" if self._keep else "restores the number"
        fate = "configure-number --restore" if self._keep else "put back when you stop"
        tunnel = f"{self.base_url}  (tested {self._ms:.0f} ms)"
        return Header(
            (
                ("tunnel" if self.mode == "tunnel" else "address", tunnel),
                ("number", f"{self.number}  POST {self.base_url}{SMS}"),
                *self._service_lines(),
                ("before", f"{self._original}  (saved; {fate})"),
                ("status", f"{self.base_url}{STATUS}   (use as status_callback)"),
                ("", ""),
                ("", f"Ready. Text {self.number}."),
            ),
            footer_hint=f"Ctrl-C {keeping}",
        )

    def _service_lines(self) -> list[tuple[str, str]]:
        """The line that says that a Messaging Service was changed, and which numbers come along."""
        service = self._route.service if self._route is not None else None
        if service is None:
            return []
        along = f", and with it {', '.join(self._along)}" if self._along else ""
        return [("service", f"{named_service(service)} points here{along}")]

    def why_silent(self) -> str:
        """The reasons why nothing may have come, the likeliest first."""
        return (
            f"Likely, in this order: a Messaging Service answers for {self.number} (N4) or drops "
            "its messages (N5), another program has taken it (M4), the way here is cut (T6). "
            f"Find out with: smsquest doctor --number {self.number}"
        )

    def insist(self, count: int) -> None:
        """Say what is still going on; the third time gives up (the journal stays)."""
        self._signals = count
        if self._pointing is not None and count < GIVE_UP_COUNT:
            console.say(f"still restoring {self.number} (10 s at most); a third Ctrl-C gives up")

    def _sid(self, route: Route) -> str:
        return route.service.sid if route.service is not None else route.number.sid

    def _ngrok(self) -> NgrokSettings:
        token = self._settings.ngrok_authtoken
        return NgrokSettings(
            home=self._settings.home,
            authtoken=token.reveal() if token else None,
            authtoken_source=self._settings.source_of("ngrok_authtoken"),
            domain=self._settings.ngrok_domain,
            path=self._settings.ngrok_path,
            say=console.say,
        )

    def _remember(self) -> None:
        """Called when the number has been put back, or could not be."""
        self.restored = self._pointing.restored if self._pointing else None

    def _tunnel_changed(self, change: TunnelChange) -> None:
        """In the watcher's thread: record it, which wakes the session, and queue it for `check`."""
        at = change.at
        if (why := change.problem) is not None:
            self.record(events.Problem.told_by(why, at=at))
            return
        self._changes.put(change)
        if change.state == "down":
            self.record(
                events.Problem.of(
                    "T6", at=at, about=None, when=f"{at.astimezone():%H:%M:%S}",
                    reason=change.reason,
                )
            )  # fmt: skip
        state = "down" if change.state == "lost" else change.state
        self.record(events.Tunnel(ts=at, state=state, url=change.url or None))

    def _follow(self, url: str) -> None:
        """Point the number at the tunnel's new address; tried again while Twilio is unavailable."""
        self.base_url = url
        self._moved(url)
        if self._pointing is not None:
            try:
                self._pointing.repoint(url + SMS)
            except (TwilioRefusedError, NumberError, CredentialsError) as err:  # or only for now
                if self.retry_after is None:  # said once, not at every try
                    self.record(events.Problem.told_by(err, at=datetime.now(UTC)))
                self.retry_after = RETRY_SECONDS
                return
        self._moved_to = self.retry_after = None

    def _watch(self, stopping: threading.Event) -> None:
        """Look from time to time if the number still calls us, and if messages have been missed."""
        assert self._pointing is not None
        assert self.number is not None
        urls = self._pointing.urls
        unheard = Unheard(self._gateway, self._log, number=self.number, run=self._run_id, urls=urls)
        while not stopping.wait(RECHECK_SECONDS):
            with suppress(LocalError):  # whoever reads the log gets the error
                for problem in unheard.look() if self._pointing.check() else ():
                    self.record(problem)
