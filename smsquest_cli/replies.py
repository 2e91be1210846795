"""A message in, TwiML out: the rules that answer without an app.

The TwiML means what Twilio's ``MessagingResponse`` would write (the oracle of the tests) and is put
together from strings, because a reply is made for each webhook and the library takes many times
as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from smsquest_cli import markup
from smsquest_cli.events import OutgoingMessage
from smsquest_cli.limits import MOST_REPLIES
from smsquest_cli.messages import Message
from smsquest_cli.problems import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLBACKS: Final = frozenset({"action", "statusCallback"})
ITSELF: Final = "sms"  # beside the address of callbacks: the webhook that was called
DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'

# What Twilio may send with a message; https://www.twilio.com/docs/messaging/guides/webhook-request
FIELDS: Final = tuple(
    """MessageSid SmsSid SmsMessageSid AccountSid MessagingServiceSid From To Body NumMedia
    NumSegments SmsStatus ApiVersion FromCity FromState FromZip FromCountry ToCity ToState ToZip
    ToCountry OptOutType ErrorCode ErrorUrl ReferralNumMedia ButtonText ButtonPayload ButtonType
    InteractiveData FlowData ChannelMetadata Latitude Longitude Address Label ProfileName WaId
    Forwarded FrequentlyForwarded MessageType ReferralBody ReferralHeadline ReferralSourceId
    ReferralSourceType ReferralSourceUrl ReferralMediaId ReferralMediaContentType ReferralMediaUrl
    ReferralCtwaClid OriginalRepliedMessageSender OriginalRepliedMessageSid AddOns ListId
    ListTitle ChannelPrefix""".split()  # noqa: SIM905
)
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_]*)\}|[{}]")
_MEDIA: Final = re.compile(r"Media(Url|ContentType)[0-9]")
_LINE_END: Final = re.compile("\r\n?")
_EXPECTED: Final = '{Body}, {From} or another field of the webhook; "{{" and "}}" for braces'


@dataclass(frozen=True, slots=True)
class TwimlAnswer:
    """The TwiML to answer with, and the messages that it makes Twilio send."""

    twiml: bytes
    messages: tuple[OutgoingMessage, ...] = ()
    redirect: str | None = None  # the URL where it sends Twilio next


Rule = Callable[[Message, str], TwimlAnswer]
"""Answers a message; the string is the absolute URL where the status of a reply goes."""


def strange_fields(template: str) -> dict[str, str | None]:
    """The placeholders in *template* that Twilio sends nothing for, and what was meant perhaps."""
    names = {found[1]: None for found in _PLACEHOLDER.finditer(template) if found[1]}
    strange = [name for name in names if name not in FIELDS and not _MEDIA.fullmatch(name)]
    return {name: _meant(name) for name in strange}


def _meant(name: str) -> str | None:
    from difflib import get_close_matches  # for a slip only

    small = {field.lower(): field for field in FIELDS}
    close = get_close_matches(name.lower(), small, n=1, cutoff=0.75)
    return small[close[0]] if close else None


def no_reply() -> Rule:
    """The rule that takes every message and sends nothing."""
    nothing = TwimlAnswer(f"{DECLARATION}<Response/>".encode())
    return lambda _message, _status_url: nothing


def text_reply(template: str) -> Rule:
    """The rule that replies with *template*, ``{Body}`` and other fields of the webhook filled in.

    A field that the webhook does not have is empty; if no text comes out, nothing is sent.
    Raises `UsageError` (U6) for a brace that is neither part of a placeholder nor doubled.
    """
    text = _Template.parsed(template, option="--reply", value=template)
    nothing = no_reply()

    def reply(message: Message, status_url: str) -> TwimlAnswer:
        body = text.filled(message.parameters)
        if not body.strip():
            return nothing(message, status_url)
        url = _attribute(status_url)
        twiml = (
            f'{DECLARATION}<Response><Message action="{url}" statusCallback="{url}">'
            f"{_escaped(body)}</Message></Response>"
        )
        return TwimlAnswer(twiml.encode(), (OutgoingMessage(body),))

    return reply


def twiml_reply(template: str, *, name: str = "this document") -> Rule:
    """The rule that replies with the TwiML document *template*, fields filled in and escaped.

    Each ``<Message>`` that asks for no status callback gets one. Raises `UsageError` (U6), which
    calls the document *name*, if it is not TwiML or a brace stands alone.
    """
    try:
        root = markup.parse(template.encode("utf-8", "replace"), charset="utf-8")
    except markup.MarkupError as err:
        raise UsageError("U6", option="--twiml", value=name, expected=f"TwiML ({err})") from err
    if root.name != "Response":
        raise UsageError("U6", option="--twiml", value=name, expected="TwiML in <Response>")
    document = _Document(root, name)

    def reply(message: Message, status_url: str) -> TwimlAnswer:
        return document.filled(message.parameters, status_url)

    return reply


@dataclass(frozen=True, slots=True)
class _Template:
    """A text with placeholders: literal texts, each followed by the name of a field or by none."""

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parsed(cls, text: str, *, option: str, value: str) -> _Template:
        parts: list[tuple[str, str | None]] = []
        literal, end = "", 0
        for found in _PLACEHOLDER.finditer(text):
            literal += text[end : found.start()]
            end = found.end()
            if found[1]:
                parts.append((_sendable(literal), found[1]))
                literal = ""
            elif found.end() - found.start() == 1:
                raise UsageError("U6", option=option, value=value, expected=_EXPECTED)
            else:
                literal += found.group()[0]
        return cls((*parts, (_sendable(literal + text[end:]), None)))

    def filled(self, fields: Mapping[str, str]) -> str:
        """The text with *fields* in the place of their names, as XML can carry it."""
        return "".join(
            [
                literal if name is None else literal + _sendable(fields.get(name, ""))
                for literal, name in self.parts
            ]
        )


@dataclass(frozen=True, slots=True)
class _MessageTemplate:
    """What one ``<Message>`` of a document sends."""

    text: _Template
    bodies: tuple[_Template, ...]
    to: _Template | None
    media: tuple[_Template, ...]
    callback: _Template | None

    def filled(self, fields: Mapping[str, str], status_url: str) -> OutgoingMessage:
        text = self.text.filled(fields)
        bodies = [body.filled(fields) for body in self.bodies]
        media = [url.filled(fields).strip() for url in self.media]
        return OutgoingMessage(
            "".join([text, *bodies] if text.strip() else bodies),
            self.to.filled(fields) if self.to else None,
            tuple(url for url in media if url),
            _address(status_url, self.callback.filled(fields)) if self.callback else None,
        )


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in a document to fill in, and how to escape the text for it."""

    template: _Template
    escape: Callable[[str], str]


class _Document:
    """A TwiML document with placeholders, written out anew for each message."""

    def __init__(self, root: markup.Element, name: str) -> None:
        self._name = name
        self._pieces: list[str | _Slot | None] = [DECLARATION]  # None: the status callbacks
        self._messages: list[_MessageTemplate] = []
        self._redirect: _Template | None = None
        self._write(root)
        for verb in root.children:
            if verb.name == "Redirect":
                self._redirect = self._template(verb.text.strip())
                break  # what follows is never reached
            if verb.name == "Message":
                self._messages.append(self._message(verb))

    def filled(self, fields: Mapping[str, str], status_url: str) -> TwimlAnswer:
        """The document for a message with *fields*, and what it sends."""
        url = _attribute(status_url)
        callbacks = f' action="{url}" statusCallback="{url}"'
        written = [
            piece
            if isinstance(piece, str)
            else callbacks
            if piece is None
            else piece.escape(piece.template.filled(fields))
            for piece in self._pieces
        ]
        messages = [template.filled(fields, status_url) for template in self._messages]
        sent = [message for message in messages if message.body.strip() or message.media]
        redirect = None
        if self._redirect is not None:
            redirect = _address(status_url, self._redirect.filled(fields) or ITSELF)
        return TwimlAnswer("".join(written).encode(), tuple(sent[:MOST_REPLIES]), redirect)

    def _write(self, element: markup.Element) -> None:
        self._pieces.append(f"<{element.name}")
        for attribute, value in element.attributes.items():
            self._pieces += [f' {attribute}="', _Slot(self._template(value), _attribute), '"']
        if element.name == "Message" and not element.attributes.keys() & CALLBACKS:
            self._pieces.append(None)
        self._pieces.append(">")
        for item in element.content:
            if isinstance(item, str):
                self._pieces.append(_Slot(self._template(item), _escaped))
            else:
                self._write(item)
        self._pieces.append(f"</{element.name}>")

    def _message(self, verb: markup.Element) -> _MessageTemplate:
        texts: dict[str, list[_Template]] = {"Body": [], "Media": []}
        for noun in verb.children:
            texts.setdefault(noun.name, []).append(self._template(noun.text))
        to = verb.attributes.get("to")
        callback = verb.attributes.get("action") or verb.attributes.get("statusCallback")
        return _MessageTemplate(
            self._template(verb.text),
            tuple(texts["Body"]),
            None if to is None else self._template(to),
            tuple(texts["Media"]),
            None if callback is None else self._template(callback),
        )

    def _template(self, text: str) -> _Template:
        return _Template.parsed(text, option="--twiml", value=self._name)


def _address(base: str, reference: str) -> str | None:
    """The URL of *reference*; None if a text that was filled in, or a slip, makes it invalid."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return None


def _sendable(text: str) -> str:
    """*text* as XML can carry it: what it forbids replaced, every line end a line feed."""
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    return markup.FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    escaped = _escaped(text).replace('"', "&quot;")
    return escaped.replace("\n", "&#10;").replace("\t", "&#09;")
