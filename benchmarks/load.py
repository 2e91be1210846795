"""Real ``serve`` processes under load: the live table, two on one log, memory.

    python benchmarks/load.py
    python benchmarks/load.py --events 100000

A serve that draws its table on a terminal beside one that writes JSON records to a file, in turns;
then its memory after many events beside that after the first 1,000; then two that share one event
log beside one, and whether every message is in the log once.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from measuring import (
    PUBLIC,
    SMSQUEST,
    TOKEN,
    Sender,
    Terminal,
    environment,
    print_table,
    rss_megabytes,
)

FIRST = 1000  # events
ENOUGH_CORES = 4  # for two receivers, their senders and the disk


def arguments(ready_file: Path) -> list[str]:
    """A serve that takes Twilio's requests here, as behind somebody's proxy."""
    given = ("--no-tunnel", "--port", "0", "--public-url", PUBLIC)
    return ["serve", *given, "--ready-file", str(ready_file)]


def port_in(ready_file: Path) -> int:
    """The local port of a serve, once it is ready."""
    deadline = time.monotonic() + 20
    while not ready_file.exists():
        if time.monotonic() > deadline:
            raise SystemExit("a serve did not start")
        threading.Event().wait(0.02)
    return int(json.loads(ready_file.read_text())["local_url"].rpartition(":")[2])


@contextmanager
def recording(home: Path, name: str):
    """A serve that writes records to a file; its port and pid."""
    ready_file = home / f"{name}.ready"
    with (home / f"{name}.json").open("wb") as out:
        process = subprocess.Popen(
            [*SMSQUEST, *arguments(ready_file), "--output", "json"],
            env=environment(SMSQUEST_HOME=str(home), TWILIO_AUTH_TOKEN=TOKEN),
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield port_in(ready_file), process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def drawing(home: Path):
    """A serve with a table on a terminal; its port and pid."""
    ready_file = home / "table.ready"
    size = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    env = environment(SMSQUEST_HOME=str(home), TWILIO_AUTH_TOKEN=TOKEN, **size)
    terminal = Terminal(arguments(ready_file), env)
    try:
        yield port_in(ready_file), terminal.process.pid
    finally:
        terminal.end()


def rate(sender: Sender, port: int, count: int) -> float:
    """Requests per second."""
    seconds, _ = sender.send(port, count)
    return count / seconds


def table_and_memory(rounds: int, count: int, events: int) -> list[tuple[str, ...]]:
    """The table beside records, in turns; then what it holds on to."""
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        sender = Sender(8)
        opened.callback(sender.process.kill)
        home = Path(folder)
        (home / "a").mkdir()
        (home / "b").mkdir()
        table, pid = opened.enter_context(drawing(home / "a"))
        records, _ = opened.enter_context(recording(home / "b", "records"))
        sender.send(table, FIRST // 2)  # a message is two events
        sender.send(records, FIRST // 2)
        threading.Event().wait(1)
        before = rss_megabytes(pid)
        ratios = [rate(sender, table, count) / rate(sender, records, count) for _ in range(rounds)]
        sent = FIRST // 2 + rounds * count
        while sent < events // 2:
            more = min(5000, events // 2 - sent)
            sender.send(table, more)
            sent += more
        threading.Event().wait(1)
        grown = rss_megabytes(pid) - before
    ratio = statistics.median(ratios)
    return [
        ("the live table, beside `-o json` to a file", f"{ratio:.2f}x", "≥ 0.9x"),
        (f"memory after {2 * sent:,} events, beside 1,000", f"{grown:+.1f} MB", "< 10 MB"),
    ]


def two_on_one_log(rounds: int, count: int) -> list[tuple[str, ...]]:
    """Two serves with one event log, each with a sender, beside one of them alone."""
    with ExitStack() as opened:
        home = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        serves = [opened.enter_context(recording(home, name)) for name in ("one", "two")]
        senders = [Sender(8) for _ in serves]
        for sender in senders:
            opened.callback(sender.process.kill)
        for sender, (port, _) in zip(senders, serves, strict=True):
            sender.send(port, 300)
        sent, ratios = 600, []
        for _ in range(rounds):
            alone = rate(senders[0], serves[0][0], count)
            with ThreadPoolExecutor() as pool:
                sending = [
                    pool.submit(sender.send, port, count)
                    for sender, (port, _) in zip(senders, serves, strict=True)
                ]
            ratios.append(sum(count / one.result()[0] for one in sending) / alone)
            sent += 3 * count
        (path,) = home.rglob("events.sqlite3")
        with closing(sqlite3.connect(path)) as log:
            query = "SELECT count(*), count(DISTINCT sid) FROM events WHERE type = 'inbound'"
            recorded = log.execute(query).fetchone()
    cores = os.cpu_count() or 1
    limit = "≥ 1.6x" if cores >= ENOUGH_CORES else f"≥ 1.6x with {ENOUGH_CORES} cores or more"
    kept = "each once" if recorded == (sent, sent) else f"NOT: {recorded}"
    return [
        ("two receivers on one log, beside one", f"{statistics.median(ratios):.2f}x", limit),
        (f"{sent:,} messages sent to them are in the log", kept, "each once"),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--events", type=int, default=20_000, help="for the memory")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--requests", type=int, default=500)
    given = options.parse_args()
    rows = table_and_memory(given.rounds, given.requests, given.events)
    rows += two_on_one_log(given.rounds, given.requests)
    print_table(("what", "measured", "to reach"), *rows)


if __name__ == "__main__":
    main()
