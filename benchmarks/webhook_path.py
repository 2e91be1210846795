"""How fast a webhook is answered, compared with what its reader would otherwise run.

    python benchmarks/webhook_path.py
    python benchmarks/webhook_path.py --node-modules ~/somewhere/node_modules

Each app runs in a process of its own; a second process sends it signed, unique messages over kept
connections. The apps take turns, a few hundred messages at a time, and ratios are those of a turn.
A round in which other programs used the processor is repeated (Linux; up to --patience seconds).
The last row does all that the others do, and has the message on disk before it answers.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from measuring import (
    ACCOUNT,
    HERE,
    PUBLIC,
    TOKEN,
    Sender,
    all_seconds,
    environment,
    print_table,
    processor_seconds,
)

APPS = {
    "flask": "tutorial's Flask sample, app.run",
    "hello": "Flask hello, our server",
    "express": "Express, validateRequest, MessagingResponse",
    "swift": "smsquest, but not waiting for the disk",
    "smsquest": "smsquest: checked, on disk, TwiML",
}

TO_REACH = {"flask": 3, "hello": 0.6, "express": 1.25}


# The apps


def serve_flask() -> None:
    """What Twilio's Flask tutorial makes: it prints and replies, checks and stores nothing."""
    from flask import Flask, request
    from twilio.twiml.messaging_response import MessagingResponse
    from werkzeug.serving import make_server

    app = Flask("sample")

    @app.post("/sms")
    def sms() -> str:
        print(f"{request.form['From']}: {request.form['Body']}")
        response = MessagingResponse()
        response.message(f"You said: {request.form['Body']}")
        return str(response)

    server = make_server("127.0.0.1", 0, app, threaded=True)  # as app.run does
    announce(server.port)
    server.serve_forever()


def serve_hello() -> None:
    """Flask at its least, on the server that smsquest uses."""
    from flask import Flask

    from smsquest_cli.server import bind

    app = Flask("hello")

    @app.post("/sms")
    def sms() -> str:
        return "hello"

    listening = bind(0)
    with listening.serving(app):
        announce(listening.port)
        sys.stdin.read()


def serve_swift() -> None:
    """The same without waiting for the disk: a power cut may take what was confirmed."""
    serve_smsquest(wait=False)


def serve_smsquest(*, wait: bool = True) -> None:
    """The whole path of a webhook through smsquest."""
    from smsquest_cli.eventlog import open_log
    from smsquest_cli.replies import text_reply
    from smsquest_cli.server import bind
    from smsquest_cli.signing import Verifier
    from smsquest_cli.webhooks import Receiver, RuleAnswerer, create_app

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        log = open_log(Path(folder) / "events.sqlite3", run="benchmark")
        if not wait:
            log.sync = lambda: None
        answerer = RuleAnswerer(text_reply("You said: {Body}"), "reply")
        receiver = Receiver(
            log, answerer, run="benchmark", verifier=Verifier(TOKEN), account_sid=ACCOUNT
        )
        receiver.move(PUBLIC)
        listening = bind(0)
        with listening.serving(create_app(receiver), quick=receiver):
            announce(listening.port)
            sys.stdin.read()
        log.close()


def announce(port: int) -> None:
    print(port, file=sys.stderr, flush=True)


@contextmanager
def running(name: str, node_modules: Path | None):
    """Start the app *name*; gives its port and pid."""
    if name == "express":
        command = ["node", str(HERE / "express_sample.cjs"), TOKEN, PUBLIC + "/sms"]
        env = environment(NODE_PATH=str(node_modules), NODE_ENV="production")
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        says = process.stdout
    else:
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", name]
        env = environment()
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        says = process.stderr
    try:
        line = says.readline()
        if not line.strip().isdigit():
            sys.exit(f"{name} does not start: {line}{says.read()}")
        if name == "flask":  # it logs every request there, and must not wait for us
            subprocess.Popen(["cat"], stdin=says, stdout=subprocess.DEVNULL)
        yield int(line), process.pid
    finally:
        process.kill()
        process.wait()


# The rounds


@dataclass
class Slice:
    rate: float
    latencies: list[float]
    cpu: float  # µs a request
    foreign: float  # what everybody else used of the processor, 1 = one core


def measured(sender: Sender, port: int, pid: int, count: int) -> Slice:
    own, senders = f"/proc/{pid}/stat", f"/proc/{sender.process.pid}/stat"
    began, ours = time.perf_counter(), processor_seconds(own, 11, 13)
    others = all_seconds() - ours - processor_seconds(senders, 11, 13)
    seconds, latencies = sender.send(port, count)
    ours_now = processor_seconds(own, 11, 13)
    foreign = all_seconds() - ours_now - processor_seconds(senders, 11, 13) - others
    cpu = (ours_now - ours) / count * 1e6
    return Slice(count / seconds, latencies, cpu, foreign / (time.perf_counter() - began))


def rounds(names: list[str], options: argparse.Namespace) -> tuple[list[dict[str, Slice]], int]:
    """Enough undisturbed rounds, or all there was time for; and how many were not."""
    kept: list[dict[str, Slice]] = []
    disturbed = 0
    sender = Sender(options.connections)
    with ExitStack() as stack:
        stack.callback(sender.process.kill)
        apps = {name: stack.enter_context(running(name, options.node_modules)) for name in names}
        for port, _ in apps.values():
            sender.send(port, 500)  # warm
        deadline = time.monotonic() + options.patience
        while len(kept) < options.rounds:
            made = {
                name: measured(sender, *apps[name], options.requests)
                for name in random.sample(names, len(names))
            }
            quiet = all(one.foreign < options.disturbance for one in made.values())
            disturbed += not quiet
            if quiet or time.monotonic() > deadline:
                kept.append(made)
            print(f"\r{len(kept)} rounds, {disturbed} disturbed", end="", file=sys.stderr)
    print("\r" + " " * 40, end="\r", file=sys.stderr, flush=True)
    return kept, disturbed


# The table


def compare(names: list[str], options: argparse.Namespace) -> None:
    made, disturbed = rounds(names, options)

    def ratio(one: str, other: str) -> float:
        return statistics.median(turn[one].rate / turn[other].rate for turn in made)

    print(
        f"{options.connections} kept connections, median of {len(made)} rounds of"
        f" {options.requests} messages ({disturbed} rounds were disturbed); x: the sample = 1\n"
    )
    table = [("app", "requests/s", "x", "p50 ms", "p99 ms", "processor µs")]
    for name in names:
        slices = [turn[name] for turn in made]
        cuts = statistics.quantiles([took for one in slices for took in one.latencies], n=100)
        rate = statistics.median(one.rate for one in slices)
        cpu = statistics.mean(one.cpu for one in slices)
        figures = (f"{ratio(name, 'flask'):.2f}", f"{cuts[49]:.2f}", f"{cuts[98]:.2f}")
        table.append((APPS[name], f"{rate:.0f}", *figures, f"{cpu:.0f}"))
    print_table(*table)
    print()
    reached = [
        (f"beside {APPS[other]}", f"{ratio('smsquest', other):.2f}x", f"≥ {limit}x")
        for other, limit in TO_REACH.items()
        if other in names
    ]
    print_table(("smsquest", "measured", "to reach"), *reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--requests", type=int, default=500, help="messages to each app a round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--disturbance", type=float, default=0.15, help="in cores, still endured")
    parser.add_argument("--patience", type=float, default=300, help="seconds for all of it")
    parser.add_argument("--node-modules", type=Path, help="folder with express and twilio")
    parser.add_argument("--swift", action="store_true", help="also without waiting for the disk")
    parser.add_argument("--serve", choices=APPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        globals()[f"serve_{options.serve}"]()
    else:
        left_out = {"express": not options.node_modules, "swift": not options.swift}
        names = [name for name in APPS if not left_out.get(name)]
        compare(names, options)


if __name__ == "__main__":
    main()
