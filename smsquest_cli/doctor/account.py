"""The checks on Twilio's side: credentials, account, number, who answers it, errors, the clock."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli import console, wire
from smsquest_cli.credentials import masked
from smsquest_cli.diagnosis import Route, choose_number, route_of, titled
from smsquest_cli.doctor.checks import Check, trouble
from smsquest_cli.explanations import short
from smsquest_cli.problems import CredentialsError, SmsquestError, TwilioRefusedError, line_of
from smsquest_cli.runs import running, running_sandbox
from smsquest_cli.twilio_api import RefusedRequestError, TwilioGateway
from smsquest_cli.webhook_urls import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from smsquest_cli.config import Settings
    from smsquest_cli.runs import Run
    from smsquest_cli.twilio_api import Account, Alert, PhoneNumber

TOLERANCE: Final = 120.0  # seconds; beyond it, certificates and dates of messages go wrong
LOOKING_BACK: Final = timedelta(hours=24)
CONNECT_SECONDS: Final = 3.0
PROXIES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
OUTAGE: Final = ("W2", "W3")  # Twilio is not reachable, or busy: the credentials may be good
BEHIND: Final = ("number", "route", "webhook", "alerts", "clock")  # the checks that need an account


def account_checks(
    settings: Settings, *, environment: Mapping[str, str], now: Callable[[], datetime]
) -> Iterator[Check]:
    """Every check; those that an earlier failure makes impossible are skipped, with that reason."""
    try:
        gateway = TwilioGateway(settings.rest_credentials(), say=console.say)
    except CredentialsError as err:
        yield _none(err, settings)
        yield from _skipped("no credentials")
        return
    with gateway:
        checks = _AccountChecks(settings, gateway, environment, now)
        yield from checks.credentials()
        if not checks.are_accepted:
            yield from _skipped(checks.reason)
            return
        yield checks.account()
        yield from checks.numbers()
        yield checks.clock()


def _none(err: CredentialsError, settings: Settings) -> Check:
    """The check if there are no credentials to try; a running sandbox needs none."""
    run = running_sandbox(settings.home)
    if err.id != "C1" or run is None:
        return trouble("credentials", err)
    line = f"none; the running sandbox, pid {run.ready.pid}, needs none"
    return Check(id="credentials", state="ok", line=line)


def _skipped(reason: str) -> Iterator[Check]:
    for id_ in BEHIND:
        yield Check(id=id_, state="skipped", line=reason)


class _AccountChecks:
    """The checks of one account; each gives what it found and raises no `SmsquestError`."""

    def __init__(
        self,
        settings: Settings,
        gateway: TwilioGateway,
        environment: Mapping[str, str],
        now: Callable[[], datetime],
    ) -> None:
        self.are_accepted = False
        self.reason = "the credentials do not work"  # why the rest cannot be checked
        self._settings = settings
        self._gateway = gateway
        self._proxied = any(environment.get(name) for name in PROXIES)
        self._now = now

    def credentials(self) -> Iterator[Check]:
        """Whether Twilio accepts them, and whether signatures can be checked with them."""
        login = self._gateway.login
        try:
            count = len(self._gateway.numbers())
        except TwilioRefusedError as err:
            if err.id not in OUTAGE:
                yield trouble("credentials", err, source=login.source)
                return
            self.reason = "Twilio does not answer"
            yield trouble("twilio", err)
            yield Check(id="credentials", state="skipped", line=self.reason, source=login.source)
            return
        except SmsquestError as err:
            yield trouble("credentials", err, source=login.source)
            return
        self.are_accepted = True
        by = f"API key {masked(login.username)}" if login.by_key else "auth token"
        line = f"{masked(login.account_sid)} by {by}; {count} number{'s' * (count != 1)}"
        yield Check(id="credentials", state="ok", line=line, source=login.source)
        notes = {note.id: note for note in self._settings.notes(at=self._now())}
        if "C10" in notes:
            yield Check(id="sources", state="ok", line=f"{notes['C10'].line} [C10]")
        yield self._signatures()

    def _signatures(self) -> Check:
        settings = self._settings
        try:
            able = settings.can_verify
        except CredentialsError as err:
            return trouble("signatures", err)
        if not able:
            return trouble("signatures", CredentialsError("C5"))
        name = "auth_token" if settings.auth_token else "webhook_secret"
        line = "checked with the " + (
            "auth token" if settings.auth_token else "shared key's secret"
        )
        return Check(id="signatures", state="ok", line=line, source=settings.source_of(name))

    def account(self) -> Check:
        """What kind of account it is: a trial account may not text everybody."""
        try:
            account = self._gateway.account()
        except SmsquestError as err:
            return trouble("account", err)
        if account is None:
            return Check(id="account", state="skipped", line=f"{line_of('C3')} [C3]")
        return Check(id="account", state="ok", line=_kind(account))

    def numbers(self) -> Iterator[Check]:
        """The number, who answers it, whether anybody is there, and Twilio's alerts about it."""
        run = next(iter(running(self._settings.home)), None)
        wanted = self._settings.number
        named = wanted or (run.ready.number if run else None)
        source = self._settings.source_of("number") if wanted else None
        try:
            number = choose_number(self._gateway, named)
        except SmsquestError as err:
            if err.id == "N1":
                yield Check(id="number", state="skipped", line=err.line, fix="Give --number.")
            else:
                yield trouble("number", err, source=source)
            for id_ in ("route", "webhook", "alerts"):
                yield Check(id=id_, state="skipped", line="no number to look at")
            return
        yield Check(id="number", state="ok", line=titled(number), source=source)
        yield from self._routes(number, run)

    def _routes(self, number: PhoneNumber, run: Run | None) -> Iterator[Check]:
        try:
            route = route_of(self._gateway, number)
        except SmsquestError as err:
            yield trouble("route", err)
            return
        yield from self._who_answers(route)
        yield self._webhook(route, run)
        urls = {run.ready.webhook_url, run.ready.status_url} if run else set()
        yield self._alerts({route.url, *urls})

    def _who_answers(self, route: Route) -> Iterator[Check]:
        for error in route.unknown:
            line = f"could not look everywhere: {error.line} [{error.id}]"
            yield Check(id="route", state="skipped", line=line)
        if obstacle := route.obstacle(via_service=False):
            yield trouble("route", obstacle)
            return
        notes = {note.id: note for note in route.notes(at=self._now())}
        if "N17" in notes:
            line = f"{notes['N17'].line} [N17]"
            yield Check(id="route", state="problem", line=line, fix="Switch auto-creation off.")
        elif route.application is not None:
            yield Check(id="route", state="ok", line=f"{notes['N6'].line} [N6]")
        else:
            yield Check(id="route", state="ok", line="the number itself answers")
        if "N12" in notes:
            yield Check(id="region", state="ok", line=f"{notes['N12'].line} [N12]")

    def _webhook(self, route: Route, run: Run | None) -> Check:
        """Whether somebody is there at the URL that Twilio calls now, without calling it."""
        words = described(route.url, route.method)
        if route.owner.is_free:
            return Check(id="webhook", state="ok", line=f"{words}: free to use")
        ours = run is not None and run.ready.webhook_url == route.url
        if self._proxied and not ours:
            line = f"{words}: cannot be tried from here, behind a proxy"
            return Check(id="webhook", state="skipped", line=line)
        fault = _fault_at(route, may_be_local=self._settings.twilio_is_local)
        if fault is None:
            whose = f"the running serve, pid {run.ready.pid}" if run and ours else route.owner.words
            return Check(id="webhook", state="ok", line=f"{words}: {whose}, and it is there")
        fix = "Point the number somewhere else: smsquest configure-number --restore, or --url."
        return Check(id="webhook", state="problem", line=f"{words}: {fault}", fix=fix)

    def _alerts(self, urls: set[str]) -> Check:
        since = self._now() - LOOKING_BACK
        try:
            alerts = self._gateway.alerts(since=since, limit=200)
        except (CredentialsError, RefusedRequestError) as err:
            return Check(id="alerts", state="skipped", line=f"{err.line} [{err.id}]")
        except SmsquestError as err:
            return trouble("alerts", err)
        ours = [alert for alert in alerts if alert.url in urls and alert.url]
        if not ours:
            return Check(id="alerts", state="ok", line="Twilio had nothing against it for 24 h")
        code = Counter(alert.code for alert in ours).most_common(1)[0][0]
        return Check(
            id="alerts",
            state="problem",
            line=f"{len(ours)} errors in 24 h, most of them {_told(code, ours[0])}",
            fix=f"smsquest explain {code}",
        )

    def clock(self) -> Check:
        """Whether this computer's clock is right, compared with Twilio's."""
        ahead = self._gateway.clock_offset
        if ahead is None:
            return Check(id="clock", state="skipped", line="Twilio told no time")
        if abs(ahead) <= TOLERANCE:
            return Check(id="clock", state="ok", line="agrees with Twilio's")
        minutes = f"{abs(ahead) / 60:.0f} min {'ahead of' if ahead > 0 else 'behind'} Twilio's"
        return Check(id="clock", state="problem", line=minutes, fix="Set this computer's clock.")


def _kind(account: Account) -> str:
    name = f' "{account.friendly_name}"' if account.friendly_name else ""
    if account.is_trial:
        return f"trial account{name}: replies reach verified US numbers only [D6]"
    return f"{account.type.lower() or 'known'} account{name}, {account.status or 'active'}"


def _told(code: int | None, last: Alert) -> str:
    at = f", the last at {last.at.astimezone():%H:%M}" if last.at else ""
    return f"{code} ({short(code) if code else 'no code'}){at}"


def _fault_at(route: Route, *, may_be_local: bool) -> str | None:
    """What is wrong at the URL of *route*, found by connecting to its host; None if nothing is.

    A tunnel's host is always there, so a tunnel is asked for a page that does no harm.
    """
    if route.owner.kind == "local" and not may_be_local:
        return "Twilio cannot reach a private address [N9]"
    try:
        parts = urlsplit(route.url)
        if route.owner.kind == "tunnel":
            url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/healthz"
            answer = wire.send(
                wire.Request("GET", url, (("ngrok-skip-browser-warning", "1"),)),
                connect_timeout=CONNECT_SECONDS,
                timeout=CONNECT_SECONDS * 2,
            )
            code = answer.header("Ngrok-Error-Code")
            return f"the tunnel is not there ({code})" if code else None
        wire.open_connection(parts, timeout=CONNECT_SECONDS).close()
    except wire.ExchangeError as err:
        return f"nobody is there ({err.detail})"
    except ValueError as err:
        return f"that is no URL ({err})"
    return None
