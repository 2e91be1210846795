"""The pretend carrier: phones text the account's numbers through it, and get what the app sends.

It works in process, with or without the REST API around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.limits import LONGEST_TEXT
from smsquest_cli.messages import Media, opt_out_of
from smsquest_cli.problems import NumberError, UsageError
from smsquest_cli.sandbox.delivery import (
    ALL_CALLBACKS,
    LOOP_REPLIES,
    PLAIN_CALLBACKS,
    Deliveries,
    LoopGuard,
)
from smsquest_cli.sandbox.dialogue import Dialogue
from smsquest_cli.sandbox.exchanges import AlertLine, Exchange, SentMessage
from smsquest_cli.sandbox.forms import inbound_pairs
from smsquest_cli.sandbox.media import attachments
from smsquest_cli.sandbox.outbox import sender_of
from smsquest_cli.sandbox.resources import SandboxMessage, Webhook
from smsquest_cli.sandbox.routing import route_of
from smsquest_cli.sandbox.scenario import Scenario, failing
from smsquest_cli.segments import segment
from smsquest_cli.twiml import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.courier import Courier
    from smsquest_cli.sandbox.resources import PhoneNumber
    from smsquest_cli.sandbox.timeline import Timeline

CONFIRMATIONS: Final[Mapping[str, str]] = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from "
    "this number. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP "
    "for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


class Carrier:
    """Brings messages to the account's numbers (`receive`) and sends the account's out.

    ``scenario`` and ``pace`` are those of messages that name no others: the ones sent through the
    REST API.
    """

    def __init__(
        self,
        account: Account,
        courier: Courier,
        timeline: Timeline,
        *,
        pace: str = "instant",
    ) -> None:
        self.account = account
        self.scenario = Scenario()
        self.pace = pace
        self._courier = courier
        self._timeline = timeline
        self._guard = LoopGuard()
        self._deliveries = Deliveries(account, courier, timeline, arrived=self._arrived)
        self.paces = self._deliveries.paces

    def receive(  # noqa: PLR0913  # what a phone can send, and how delivery should go
        self,
        from_: str,
        to: str,
        body: str = "",
        *,
        media: Iterable[Media | str] = (),
        parameters: Mapping[str, str] | None = None,
        scenario: Scenario | str | None = None,
        pace: str | None = None,
        method: str | None = None,
        url: str | None = None,
        unsigned: bool = False,
    ) -> Exchange:
        """A phone texts one of the account's numbers: call its webhook, do what the TwiML says.

        Returns as soon as the app has answered; the replies go on their way (`settle` waits for
        them). *scenario* and *pace* are theirs. *parameters* replace or add fields of the webhook;
        *url* and *method* stand in for the number's own webhook. Raises `NumberError` (N2) and
        `UsageError` (U6).
        """
        account = self.account
        number = self._number(to)
        if isinstance(scenario, str):
            scenario = Scenario.parse(scenario)
        if pace is not None and pace not in self.paces:
            raise UsageError("U6", option="--pace", value=pace, expected=" or ".join(self.paces))
        body = body.encode("utf-8", "replace").decode()  # half a surrogate pair is no character
        route = route_of(account, number)
        webhook = route.webhook
        if url or (method and webhook):
            old = webhook or Webhook("")
            webhook = Webhook(url or old.url, method or old.method)
        elif route.dropped_by:
            values = {"service": route.dropped_by, "number": number.phone_number}
            found = Finding("N5", values, None)
            return Exchange(sid=None, from_=from_, to=to, body=body, findings=(found,))
        message = self._inbound(from_, to, body, media, number, parameters or {})
        earlier = {alert.sid for alert in account.alerts_of(message.sid)}  # its SID came before
        keyword = opt_out_of(body)
        confirmation = self._confirm(keyword, message, pace or self.pace) if keyword else None
        findings = [Finding("D8", {"number": from_}, None)] if keyword == "STOP" else []
        if len(body) > LONGEST_TEXT:
            findings.append(Finding("D13", {"length": len(body)}, None))
        if route.taken_by and not url:
            values = {"sid": message.sid, "time": f"{message.created:%H:%M:%S}"}
            findings.append(Finding("N7", values, None))
        elif webhook is None:
            findings.append(Finding("N20", {"number": number.phone_number}, None))
        service = account.services.get(message.service_sid or "")
        pairs = inbound_pairs(
            message,
            account.sid,
            opt_out=keyword if service and service.advanced_opt_out else None,
            parameters=parameters,
        )
        dialogue = Dialogue(
            account,
            message,
            pairs,
            courier=self._courier,
            deliveries=self._deliveries,
            guard=self._guard,
            unsigned=unsigned,
        )
        if webhook:
            dialogue.hold(webhook, None if url else route.fallback)
            dialogue.start(scenario or self.scenario, pace or self.pace)
        return Exchange(
            sid=message.sid,
            from_=from_,
            to=to,
            body=body,
            visits=tuple(dialogue.visits),
            messages=tuple(dialogue.messages),
            replies=tuple(reply.sid for reply in dialogue.replies),
            findings=(*findings, *dialogue.findings),
            alerts=tuple(
                AlertLine(alert.code, alert.text, alert.level, alert.request_url)
                for alert in account.alerts_of(message.sid)
                if alert.sid not in earlier
            ),
            opt_out=keyword,
            confirmation=confirmation,
        )

    def send(self, message: SandboxMessage, *, delay: float | None = None) -> None:
        """Begin the life of a *message* that the account sends, now or after *delay* seconds."""
        if delay is not None:
            self._timeline.after(delay, lambda: self._begin(message), about=None)
        else:
            self._begin(message)

    def cancel(self, message: SandboxMessage) -> bool:
        """Cancel a scheduled *message*; False if it is not one."""
        with self.account.lock:
            if message.status != "scheduled":
                return False
            self.account.move(message, "canceled")
        self._timeline.after(
            0.0, lambda: self._deliveries.call_back(message, "canceled"), about=message.sid
        )
        return True

    def reroute(self, sid: str, scenario: str) -> bool:
        """Let the message *sid* go on as in *scenario*; False if it has already come to its end."""
        parsed = Scenario.parse(scenario)
        message = self.account.message(sid)
        if message is None or not self._timeline.drop(sid):
            return False
        self._deliveries.start(message, parsed, self.pace, wanted=ALL_CALLBACKS)
        return True

    def settle(self, timeout: float = 15.0, sids: Collection[str] | None = None) -> bool:
        """Wait until all messages (or those of *sids*) have come to their end; False if not."""
        return self._timeline.settle(timeout, sids)

    def states(self, sids: Iterable[str]) -> tuple[SentMessage, ...]:
        """The messages of *sids* as they are now."""
        with self.account.lock:
            found = (self.account.message(sid) for sid in sids)
            return tuple(SentMessage.of(message) for message in found if message)

    def _begin(self, message: SandboxMessage) -> None:
        with self.account.lock:
            if message.status == "canceled":
                return
            if message.from_ is None and (number := sender_of(self.account, message)):
                message.from_ = number.phone_number
        scenario = self.scenario
        own = self.account.number(message.to)
        if own and self._guard.count(message.from_ or "", message.to) > LOOP_REPLIES:
            scenario = failing(14107)
        wanted = ALL_CALLBACKS if message.service_sid else PLAIN_CALLBACKS
        self._deliveries.start(message, scenario, self.pace, wanted=wanted)

    def _arrived(self, message: SandboxMessage, scenario: Scenario, pace: str) -> None:
        """One number of the account has texted another: the second one receives it."""
        media = [Media(item.url, item.content_type) for item in message.media]
        self.receive(
            message.from_ or "", message.to, message.body,
            media=media, scenario=scenario, pace=pace,
        )  # fmt: skip

    def _number(self, to: str) -> PhoneNumber:
        account = self.account
        if number := account.number(to):
            return number
        closest = account.closest(to) or "none"
        raise NumberError("N2", number=to, account=account.sid, closest=closest)

    def _inbound(
        self,
        from_: str,
        to: str,
        body: str,
        media: Iterable[Media | str],
        number: PhoneNumber,
        parameters: Mapping[str, str],
    ) -> SandboxMessage:
        account = self.account
        attached = attachments(account, media)
        service = account.service_of(number)
        at = account.now()
        return account.add_message(
            SandboxMessage(
                sid=parameters.get("MessageSid") or account.sids.new("MM" if attached else "SM"),
                direction="inbound",
                from_=from_,
                to=to,
                body=body,
                created=at,
                updated=at,
                sent=at,
                status="received",
                segments=segment(body).segments,
                media=attached,
                service_sid=service.sid if service else None,
            )
        )

    def _confirm(self, keyword: str, message: SandboxMessage, pace: str) -> str | None:
        """Do what Twilio itself does about a keyword; returns the SID of its answer, or None."""
        account, phone = self.account, message.from_ or ""
        changed = keyword != "HELP" and account.opt_out(message.to, phone, out=keyword == "STOP")
        if keyword == "START" and not changed:  # Twilio ignores a "yes" to something else
            return None
        text = CONFIRMATIONS[keyword]
        confirmation = account.add_message(
            SandboxMessage(
                sid=account.sids.new("SM"),
                direction="outbound-reply",
                from_=message.to,
                to=phone,
                body=text,
                created=account.now(),
                updated=account.now(),
                status="queued",
                segments=segment(text).segments,
                service_sid=message.service_sid,
                in_reply_to=message.sid,
            )
        )
        self._deliveries.start(confirmation, Scenario(), pace)
        return confirmation.sid
