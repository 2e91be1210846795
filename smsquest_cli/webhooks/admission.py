"""Whether a request is one of Twilio's, and what is wrong with it if it is not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from smsquest_cli.credentials import masked
from smsquest_cli.forms import form_pairs, is_form
from smsquest_cli.problems import line_of
from smsquest_cli.signing import SharedKey
from smsquest_cli.webhooks.address import PublicAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.server.quick import Incoming
    from smsquest_cli.signing import Verifier

    Pairs = list[tuple[str, str]]

MAX_FIELDS: Final = 500  # Twilio sends about twenty
FORMER_ADDRESSES: Final = 3

# Explaining a signature means trying hundreds: not for big requests, and not all the time.
EXPLAINABLE_BYTES: Final = 8192
EXPLAINABLE_FIELDS: Final = 80
EXPLAIN_SECONDS: Final = 1.0

_SIGNATURE: Final = "X_TWILIO_SIGNATURE"
_SETTINGS: Final = "X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS"


class RefusedError(Exception):
    """A request that is not one of Twilio's, or lacks what Twilio always sends.

    ``hint`` says more to people; it may be slow.
    """

    def __init__(self, status: int, reason: str, hint: Callable[[], str | None]) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.hint = hint


def malformed(status: int, hint: str) -> RefusedError:
    """A request that does not have the form of Twilio's."""
    return RefusedError(status, "malformed", lambda: hint)


class Admission:
    """Decides whether a request is one of Twilio's.

    It goes by the public address, and by the secrets of *verifier*, if there is one.
    """

    def __init__(self, verifier: Verifier | None, account_sid: str | None) -> None:
        self.address = PublicAddress()
        self._former: tuple[PublicAddress, ...] = ()
        self._verifier = verifier
        self._account_sid = account_sid
        self._explaining = threading.Lock()
        self._explained_at = float("-inf")

    def move(self, address: PublicAddress) -> None:
        """From now on Twilio calls *address*."""
        if self.address.base not in ("", address.base):
            self._former = (self.address, *self._former)[:FORMER_ADDRESSES]
        self.address = address

    def fields(self, incoming: Incoming) -> tuple[Pairs, str]:
        """The fields of *incoming*, and the state of its signature: ``valid`` or ``unchecked``.

        Raises `RefusedError`.
        """
        signed: Pairs = []
        if incoming.method == "GET":
            pairs = _pairs(incoming.query.encode("latin-1"))
        else:
            content_type = incoming.fields.get("CONTENT_TYPE")
            if not is_form(content_type):
                what = content_type or "of no type"
                raise malformed(403, f"the body is {what}, not form fields as Twilio sends them")
            signed = pairs = _pairs(incoming.body)
        if self._verifier is None:
            return pairs, "unchecked"
        reason = self._verifier.verify(
            self.address.url_of(incoming.target),
            signed,
            incoming.fields.get(_SIGNATURE),
            settings=incoming.fields.get(_SETTINGS),
        )
        if reason is not None:
            account = dict(pairs).get("AccountSid")
            raise RefusedError(
                403, reason, lambda: self._hint(reason, incoming, signed, account=account)
            )
        return pairs, "valid"

    def _hint(
        self, reason: str, incoming: Incoming, signed: Pairs, *, account: str | None
    ) -> str | None:
        """What is wrong with the signature."""
        if reason == "unsigned":
            return "no X-Twilio-Signature: not Twilio, or something on the way removes the header"
        if reason == "shared-key":
            key = SharedKey.from_header(incoming.fields.get(_SETTINGS) or "")
            return line_of("C6", key=key.id or "?", algorithm=key.algorithm) + " [C6]"
        ours = self._account_sid
        if account and ours and account != ours:
            what = f"signature of {masked(account)} checked with the token of {masked(ours)}"
            return line_of("C7", what=what, cure="Use that account's auth token") + " [C7]"
        if made := self._explanation(incoming, signed):
            return f"signed {made}"
        whose = masked(ours) if ours else "the account"
        return (
            f"not signed with the auth token of {whose} for this URL and these fields "
            "(token rotated or of another Region, or changed on the way?)"
        )

    def _explanation(self, incoming: Incoming, signed: Pairs) -> str | None:
        size = len(incoming.body) + len(incoming.target)
        if self._verifier is None or size > EXPLAINABLE_BYTES or len(signed) > EXPLAINABLE_FIELDS:
            return None
        with self._explaining:
            if time.monotonic() - self._explained_at < EXPLAIN_SECONDS:
                return None
            self._explained_at = time.monotonic()
        candidates = {}
        if host := incoming.fields.get("HOST"):
            candidates["the Host header"] = f"http://{host}{incoming.target}"
        for number, former in enumerate(self._former, start=1):
            name = f"the public URL before{f' ({number} ago)' if number > 1 else ''}"
            candidates[name] = former.url_of(incoming.target)
        url = self.address.url_of(incoming.target)
        presented = incoming.fields.get(_SIGNATURE) or ""
        return self._verifier.explain(url, signed, presented, candidates=candidates)


def _pairs(raw: bytes) -> Pairs:
    """The fields of a form or query; raises `RefusedError` if it is not one."""
    if raw.count(b"&") >= MAX_FIELDS:
        raise malformed(403, f"more than {MAX_FIELDS} fields")
    pairs = form_pairs(raw)
    if any("\ufffd" in name or "\ufffd" in value for name, value in pairs):
        try:  # U+FFFD was sent as such, or stands for bytes that are not UTF-8
            unquote_to_bytes(raw).decode()
        except UnicodeDecodeError as err:
            raise malformed(403, "the text is not UTF-8") from err
    return pairs
