"""The rule that answers where no app does: what was typed, in words, and what is odd about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsquest_cli import replies
from smsquest_cli.events import Problem
from smsquest_cli.limits import LARGEST_TWIML
from smsquest_cli.messages import Message
from smsquest_cli.problems import UsageError, reason_of
from smsquest_cli.webhooks import RuleAnswerer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_REPLY: Final = "You said: {Body}"

# Nothing is odd about a rule that fits this message.
_USUAL: Final = {
    **dict.fromkeys(replies.FIELDS, "1"),
    **dict.fromkeys(("From", "To"), "+12025550143"),
    "MediaUrl0": "https://example.com/picture.png",
}


@dataclass(frozen=True, slots=True)
class ChosenRule:
    """What answers messages; ``words`` say it in the header, ``doubts`` what may be a slip."""

    answerer: RuleAnswerer
    words: str
    doubts: tuple[Problem, ...] = ()


def chosen_rule(*, reply: str | None, document: Path | None, no_reply: bool) -> ChosenRule:
    """The rule for ``--reply``, ``--twiml`` or ``--no-reply``; raises `UsageError` (U6)."""
    if no_reply:
        answerer = RuleAnswerer(replies.no_reply(), "none")
        return ChosenRule(answerer, "none (an empty <Response/>)")
    if document is not None:
        text = _read(document)
        rule = replies.twiml_reply(text, name=str(document))
        doubts = (*_unfilled(text, "--twiml"), *_ignored(rule))
        return ChosenRule(RuleAnswerer(rule, "twiml"), f"the TwiML of {document}", doubts)
    text = DEFAULT_REPLY if reply is None else reply
    more = "   (another: --reply, your own app: --forward-to)" if reply is None else ""
    answerer = RuleAnswerer(replies.text_reply(text), "reply")
    return ChosenRule(answerer, f'"{text}"{more}', tuple(_unfilled(text, "--reply")))


def _unfilled(template: str, option: str) -> Iterator[Problem]:
    """R18 for each placeholder that Twilio fills in no webhook."""
    for name, meant in replies.strange_fields(template).items():
        hint = f". Did you mean {{{meant}}}?" if meant else ""
        placeholder = f"{{{name}}}"
        severity = "warning" if meant else "note"  # it may be a field of an add-on, or --param's
        now, values = datetime.now(UTC), {"placeholder": placeholder, "option": option}
        yield Problem.of("R18", at=now, severity=severity, hint=hint, **values)


def _ignored(rule: replies.Rule) -> Iterator[Problem]:
    """What Twilio would say of the document, once it is filled in."""
    from smsquest_cli import twiml

    answer = rule(Message.from_webhook(_USUAL), "https://example.com/status")
    for found in twiml.read(200, "text/xml", answer.twiml).findings:
        if found.severity != "note":
            yield found.problem(at=datetime.now(UTC))


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        why = reason_of(err) if isinstance(err, OSError) else "UTF-8 text"
        raise UsageError(
            "U6", option="--twiml", value=str(path), expected=f"a TwiML file ({why})"
        ) from err
    if len(text.encode()) > LARGEST_TWIML:
        raise UsageError("U6", option="--twiml", value=str(path), expected="64 kB or less")
    return text
