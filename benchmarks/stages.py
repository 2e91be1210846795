"""Where each microsecond of a webhook goes: ``python benchmarks/stages.py``.

The stages of a message on its way through smsquest, each over the same signed messages in one
process and one thread: nothing waits for a client. The last one waits for the disk.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import ACCOUNT, PUBLIC, TOKEN, print_table, signed_requests
from waitress.adjustments import Adjustments

from smsquest_cli.eventlog import LogEntry, open_log
from smsquest_cli.eventlog.rows import row_of
from smsquest_cli.messages import Message
from smsquest_cli.replies import text_reply
from smsquest_cli.server.lane import LaneParser
from smsquest_cli.server.quick import Incoming
from smsquest_cli.signing import Verifier
from smsquest_cli.webhooks import Receiver, RuleAnswerer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUP = 8  # messages that come in one turn of the loop, one on each connection


def parsed(raw: bytes) -> Incoming:
    """HTTP, as the lane reads it."""
    parser = LaneParser(Adjustments())
    end = raw.index(b"\r\n\r\n") + 4
    parser.received(raw[:end])
    parser.received(raw[end:])
    body = parser.get_body_stream().read()
    return Incoming(parser.command, parser.path, parser.request_uri, parser.headers, body)


def took(stage: Callable[[object], object], things: Sequence[object], *, each: int = 1) -> float:
    """The median µs that *stage* takes for one of *each* messages."""
    times = []
    for thing in things:
        began = time.perf_counter()
        stage(thing)
        times.append((time.perf_counter() - began) * 1e6 / each)
    return statistics.median(times)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--messages", type=int, default=2000)
    raw = signed_requests(options.parse_args().messages)
    rule = text_reply("You said: {Body}")
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder) / "events.sqlite3", run="benchmark")
        with closing(log):
            receiver = Receiver(
                log,
                RuleAnswerer(rule, "reply"),
                run="benchmark",
                verifier=Verifier(TOKEN),
                account_sid=ACCOUNT,
            )
            receiver.move(PUBLIC)
            requests = [parsed(one) for one in raw]
            admission = receiver._admission  # noqa: SLF001 - its stages are what this is about
            forms = [dict(admission.fields(one)[0]) for one in requests]
            messages = [Message.from_webhook(form) for form in forms]
            prepared = [receiver._prepared(one) for one in requests]  # noqa: SLF001
            entries = [entry for one in prepared for entry in one.entries]

            def row(entry: LogEntry) -> object:
                numbers = ("+12025550143", "+12025550100")
                return row_of(entry.event, run="r", numbers=numbers, request=entry.request)

            groups = [requests[at : at + GROUP] for at in range(0, len(requests), GROUP)]
            whole = took(receiver.answer, groups, each=GROUP)
            stages = {
                "HTTP: head and body": took(parsed, raw),
                "form and signature": took(admission.fields, requests),
                "message and its values": took(Message.from_webhook, forms),
                "TwiML": took(lambda one: rule(one, PUBLIC + "/status?re=x"), messages),
                "two rows: JSON, raw request": 2 * took(row, entries),
            }
    first, *rest = stages.values()
    stages["events, insert, indices, and an eighth of a wait for the disk"] = whole - sum(rest)
    rows = [(name, f"{micros:.0f}") for name, micros in stages.items()]
    print_table(
        ("stage of a message", "µs"), *rows, ("all but the sockets", f"{first + whole:.0f}")
    )


if __name__ == "__main__":
    main()
