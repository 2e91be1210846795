"""One inbound message and what the app makes of it: fetch, TwiML, redirects, the fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.explanations import short
from smsquest_cli.limits import LONGEST_TEXT, MOST_REPLIES
from smsquest_cli.messages import opt_out_of
from smsquest_cli.sandbox.account import (
    e164,
    is_phone_number,
    is_sender_name,
    without_channel,
)
from smsquest_cli.sandbox.courier import plain, resolved
from smsquest_cli.sandbox.delivery import (
    ALL_CALLBACKS,
    LOOP_REPLIES,
    LOOP_SECONDS,
    add_fetch_alert,
    between,
)
from smsquest_cli.sandbox.exchanges import Visit, read
from smsquest_cli.sandbox.media import attachments
from smsquest_cli.sandbox.resources import SandboxMessage, Webhook
from smsquest_cli.sandbox.scenario import failing
from smsquest_cli.segments import segment
from smsquest_cli.twiml import Finding

if TYPE_CHECKING:
    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.courier import Courier, Fetch
    from smsquest_cli.sandbox.delivery import Deliveries, LoopGuard
    from smsquest_cli.sandbox.forms import Pairs
    from smsquest_cli.sandbox.scenario import Scenario
    from smsquest_cli.twiml import TwimlDocument, TwimlMessage

MAX_DOCUMENTS: Final = 50
TRIAL_PREFIX: Final = "Sent from your Twilio trial account - "


class Dialogue:
    """Asks the app what to do about *message* and does it; the results are in its attributes."""

    def __init__(
        self,
        account: Account,
        message: SandboxMessage,
        pairs: Pairs,
        *,
        courier: Courier,
        deliveries: Deliveries,
        guard: LoopGuard,
        unsigned: bool = False,
    ) -> None:
        self._account = account
        self._message = message
        self._pairs = pairs
        self._courier = courier
        self._deliveries = deliveries
        self._guard = guard
        self._unsigned = unsigned
        self._texts = 0  # <Message> verbs so far
        self.visits: list[Visit] = []
        self.messages: list[TwimlMessage] = []  # that became replies
        self.replies: list[SandboxMessage] = []
        self.findings: list[Finding] = []

    def hold(self, webhook: Webhook, fallback: Webhook | None) -> None:
        """Ask *webhook*, and *fallback* if the first cannot be fetched or executed."""
        failure = self._ask(webhook, self._pairs)
        if failure and fallback:
            code, url = failure
            self.findings.append(Finding("N15", {"error_url": url, "error_code": code}, code))
            self._ask(fallback, (*self._pairs, ("ErrorCode", str(code)), ("ErrorUrl", url)))

    def _ask(self, webhook: Webhook, pairs: Pairs) -> tuple[int, str] | None:
        """Execute the document of *webhook*, and follow its redirects; the failure, or None."""
        for _ in range(MAX_DOCUMENTS):
            fetch = self._courier.fetch(
                webhook,
                pairs,
                between=between(self._message.from_ or "", self._message.to),
                unsigned=self._unsigned,
            )
            document = read(fetch)
            self.visits.append(Visit(fetch, document))
            failure = self._note(fetch, document)
            if failure or document is None:
                return failure, plain(webhook.url)
            for verb in document.messages:
                self._reply(verb, fetch)
            if document.redirect is None:
                return None
            target = resolved(fetch.base, document.redirect.url)
            webhook = Webhook(target, document.redirect.method)
        add_fetch_alert(self._account, 14106, short(14106), self._message.sid, fetch)
        return 14106, plain(webhook.url)

    def _note(self, fetch: Fetch, document: TwimlDocument | None) -> int:
        """Keep the findings about an answer, also in Twilio's debugger; returns the error, or 0."""
        found = document.findings if document else ()
        self.findings.extend(found)
        levels = {finding.code: "warning" for finding in found if finding.code}
        error = fetch.error or (document.error if document else None) or 0
        if error:
            levels[error] = "error"
        for code, level in levels.items():
            text = (fetch.detail if code == fetch.error else "") or short(code)
            add_fetch_alert(self._account, code, text, self._message.sid, fetch, level=level)
        return error

    def _reply(self, verb: TwimlMessage, fetch: Fetch) -> None:
        """Make the reply that one ``<Message>`` asks for, unless Twilio would not send it."""
        self._texts += 1
        if self._texts > MOST_REPLIES:
            if self._texts == MOST_REPLIES + 1:
                self._warn(14109, f"more than {MOST_REPLIES} replies to one message", fetch)
            return
        account, inbound = self._account, self._message
        sender = verb.from_ or inbound.to
        to = (e164(verb.to) or verb.to) if verb.to else inbound.from_ or ""
        if verb.to and not is_phone_number(without_channel(to)):
            self._warn(14101, f'invalid "to": {to}', fetch)
            return
        number = account.number(sender)
        if number is None and not is_sender_name(sender, to):
            self._warn(14102, f'invalid "from": {sender}', fetch)
            return
        if number and not number.sms:
            self._warn(14108, f'"from" is not SMS capable: {sender}', fetch)
            return
        body = TRIAL_PREFIX + verb.body if account.kind == "trial" else verb.body
        reply = account.add_message(
            SandboxMessage(
                sid=account.sids.new("MM" if verb.media else "SM"),
                direction="outbound-reply",
                from_=sender,
                to=to,
                body=body,
                created=account.now(),
                updated=account.now(),
                status="queued",
                segments=segment(body).segments,
                media=attachments(account, verb.media),
                service_sid=inbound.service_sid,
                callback=self._callback(verb, fetch),
                in_reply_to=inbound.sid,
            )
        )
        self.messages.append(verb)
        self.replies.append(reply)

    def start(self, scenario: Scenario, pace: str) -> None:
        """Let every reply begin its life; those that Twilio refuses fail."""
        for reply in self.replies:
            code = self._refusal(reply)
            self._deliveries.start(
                reply, failing(code) if code else scenario, pace, wanted=ALL_CALLBACKS
            )

    def _refusal(self, reply: SandboxMessage) -> int | None:
        """The error code with which Twilio refuses to send *reply*, or None."""
        account, sender = self._account, reply.from_ or ""
        with account.lock:
            opted_out = account.opted_out(sender, reply.service_sid, reply.to)
            trial = account.kind == "trial" and reply.to not in account.verified
        if opted_out:
            self._tell_of_opt_out(reply.to)
            return 21610
        if trial and reply.to != self._message.from_:
            return 14111
        if len(reply.body) > LONGEST_TEXT:
            return 21617
        if account.number(reply.to) and self._guard.count(sender, reply.to) > LOOP_REPLIES:
            first, second = between(sender, reply.to)
            values = {
                "first": first, "second": second, "count": LOOP_REPLIES,
                "seconds": int(LOOP_SECONDS),
            }  # fmt: skip
            self.findings.append(Finding("R6", values, 14107))
            account.add_alert(14107, short(14107), reply.sid)
            return 14107
        return None

    def _tell_of_opt_out(self, phone: str) -> None:
        """Say why *phone* gets nothing, unless its own STOP, just now, has said so."""
        told = any(found.id == "D8" for found in self.findings)
        if not told and opt_out_of(self._message.body) != "STOP":
            self.findings.append(Finding("D8", {"number": phone}, None))

    def _callback(self, verb: TwimlMessage, fetch: Fetch) -> Webhook | None:
        """Where the status of the reply goes."""
        if verb.callback is None:
            service = self._account.services.get(self._message.service_sid or "")
            return Webhook(service.status_callback) if service and service.status_callback else None
        return Webhook(resolved(fetch.base, verb.callback), verb.method or "POST")

    def _warn(self, code: int, text: str, fetch: Fetch) -> None:
        add_fetch_alert(self._account, code, text, self._message.sid, fetch, level="warning")
