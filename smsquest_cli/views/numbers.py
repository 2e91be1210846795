"""Numbers and their webhooks: the list, a change before and after, what was put back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli import console
from smsquest_cli.console import Output
from smsquest_cli.printable import printable, short_sid
from smsquest_cli.views.layout import hanging
from smsquest_cli.webhook_urls import described, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.configuring import Change, Listed, Outcome
    from smsquest_cli.journal import Fields, JournalEntry

API: Final = {
    "PN": "https://api.twilio.com/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json",
    "MG": "https://messaging.twilio.com/v1/Services/{sid}",
}


NOTE: Final = 20  # columns; its words can stand below each other, a URL cannot be divided well
WHOLE: Final = 10_000


def show_numbers(
    account: Sequence[tuple[str, str]], found: Sequence[Listed], output: Output
) -> None:
    """The numbers of an account; *account* says whose they are, by the names of JSON."""
    if output is Output.JSON:
        numbers = [one.to_json() for one in found]
        console.print_json({**dict(account), "numbers": numbers})
        return
    screen = console.console_for(sys.stdout)
    if not screen.is_terminal:
        screen.width = WHOLE  # whoever reads the pipe must find each URL in one piece
    screen.print(*hanging(_heading(dict(account)), screen.width), sep="\n")
    if not found:
        console.write_line("no numbers")
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Number", no_wrap=True)
    table.add_column("Name", overflow="fold")
    table.add_column("SMS webhook now", overflow="fold")
    table.add_column("Note", overflow="fold", max_width=max(NOTE, screen.width // 4))
    for one in found:
        number = one.route.number
        cells = (number.phone_number, number.name, one.webhook, one.note)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    screen.print(table)


def show_change(change: Change, output: Output, *, made: bool, dry: bool = False) -> None:
    """What *change* does, and whether it was made."""
    if output is Output.JSON:
        console.print_json(
            {
                "number": change.number,
                "sid": change.sid,
                "changed": made,
                "dry_run": dry,
                "before": _shown(change.before),
                "after": _shown(change.after),
            }
        )
        return
    if not change.is_needed:
        console.write_line(f"{change.number}  unchanged: it is so already")
        return
    done = "changed, checked" if made else "would be changed (--dry-run)"
    console.write_line(f"{change.number}  {done}")
    console.write_line(f"  before  {_webhook(change.before)}")
    console.write_line(f"  after   {_webhook(change.after)}")


def show_before(change: Change) -> None:
    """Show what is about to happen to whoever is asked."""
    console.say(f"{change.number}")
    console.say(f"  before  {_webhook(change.before)}")
    console.say(f"  after   {_webhook(change.after)}")


def show_outcomes(outcomes: Sequence[Outcome], output: Output) -> None:
    """What was put back."""
    if output is Output.JSON:
        console.print_json({"restored": [one.to_json() for one in outcomes]})
        return
    for one in outcomes:
        console.write_line(printable(f"{one.entry.number}  {one.words}"))


def by_hand(entry: JournalEntry) -> str:
    """The command with which *entry* can be put back without us; it holds no secret."""
    url = API[entry.sid[:2]].format(account=entry.account_sid, sid=entry.sid)
    words = ["curl -X POST", url, '-u "$TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN"']
    for name, value in entry.original.items():
        parameter = "".join(word.capitalize() for word in name.split("_"))
        text = str(value).lower() if isinstance(value, bool) else value
        words.append(f"--data-urlencode '{parameter}={text.replace(chr(39), '%27')}'")
    return " ".join(words)


def _heading(account: dict[str, Any]) -> str:
    name = f' "{account["name"]}"' if account.get("name") else ""
    line = f"account  {short_sid(account['account'])}{name}"
    return printable(f"{line}   credentials: {account['credentials']}")


def _webhook(fields: Fields) -> str:
    """The fields in words."""
    if "inbound_request_url" in fields:
        url, method = str(fields["inbound_request_url"]), str(fields["inbound_method"])
        defers = fields["use_inbound_webhook_on_number"]
        return printable(described(url, method) + (", defers to the number" if defers else ""))
    words = [described(str(fields["sms_url"]), str(fields["sms_method"]))]
    if fields["sms_application_sid"]:
        words.append(f"answered by TwiML app {fields['sms_application_sid']}")
    if fields["sms_fallback_url"]:
        words.append(f"fallback {fields['sms_fallback_method']} {shown(_text(fields))}")
    return printable(", ".join(words))


def _text(fields: Fields) -> str:
    return str(fields["sms_fallback_url"])


def _shown(fields: Fields) -> dict[str, str | bool | None]:
    return {
        name: value if isinstance(value, bool) else (shown(value) or None)
        for name, value in fields.items()
    }
