"""What came of a webhook that was delivered again, and how it differs from the first time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from smsquest_cli import console, events
from smsquest_cli.printable import printable
from smsquest_cli.views.exchanges import ExchangeLines, ExchangeRecords, problems_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smsquest_cli.sandbox import Exchange

    Differences = Mapping[str, tuple[object, object]]


class ReplayView(Protocol):
    """Shows one replay."""

    def answered(self, exchange: Exchange) -> None:
        """The webhook was delivered."""

    def differs(self, exchange: Exchange, differences: Differences | None) -> None:
        """Show the *differences* between the reply and the recorded one, by their names.

        None if no reply is recorded.
        """


def replay_view(output: str) -> ReplayView:
    """The view for *output*: ``lines`` or ``json``."""
    return _Records() if output == console.Output.JSON else _Lines()


class _Lines:
    def answered(self, exchange: Exchange) -> None:
        ExchangeLines(handed_over="replayed").answered(exchange)

    def differs(self, exchange: Exchange, differences: Differences | None) -> None:
        del exchange
        if differences is None:
            console.write_line("no reply is recorded to compare this one with")
            return
        if not differences:
            console.write_line("the reply is the same as before")
        for name, (before, now) in differences.items():
            console.write_line(f"- {name:<13}{printable(_words(before))}")
            console.write_line(f"+ {name:<13}{printable(_words(now))}")


class _Records:
    def answered(self, exchange: Exchange) -> None:
        if not exchange.is_status:
            ExchangeRecords().answered(exchange)
            return
        now = datetime.now(UTC)
        assert exchange.request is not None
        fields = exchange.request.fields
        code = fields.get("ErrorCode", "")
        found: list[events.Event] = [
            events.Status(
                ts=now,
                sid=exchange.sid or "",
                status=fields.get("MessageStatus", ""),
                from_=exchange.from_ or None,
                to=exchange.to or None,
                error_code=int(code) if code.isdecimal() else None,
            )
        ]
        if reply := exchange.reply(at=now):
            found.append(reply)
        for event in (*found, *problems_of(exchange)):
            console.print_json(events.to_record(event))

    def differs(self, exchange: Exchange, differences: Differences | None) -> None:
        console.print_json(
            {
                "v": events.VERSION,
                "ts": events.timestamp(datetime.now(UTC)),
                "type": "diff",
                "in_reply_to": exchange.sid,
                "same": None if differences is None else not differences,
                "changes": [
                    {
                        "field": name.replace(" ", "_"),
                        "before": _plain(before),
                        "after": _plain(now),
                    }
                    for name, (before, now) in (differences or {}).items()
                ],
            }
        )


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(f'"{message.body}"' for message in value) or "no reply"
    return "none" if value is None else str(value)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [
            {"body": message.body, "to": message.to, "media": list(message.media)}
            for message in value
        ]
    return value
