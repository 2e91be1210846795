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
import secrets
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://quest.example"
ACCOUNT = "AC" + "1" * 32
HERE = Path(__file__).parent

APPS = {
    "flask": "tutorial's Flask sample, app.run",
    "hello": "Flask hello, our server",
    "express": "Express, validateRequest, MessagingResponse",
    "normal": "smsquest, but synchronous = NORMAL",
    "smsquest": "smsquest: checked, on disk, TwiML",
}


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


def serve_normal() -> None:
    """The same without waiting for the disk: a power cut may take what was confirmed."""
    serve_smsquest(synchronous="NORMAL")


def serve_smsquest(*, synchronous: str = "FULL") -> None:
    """The whole path of a webhook through smsquest."""
    from smsquest_cli.eventlog import open_log
    from smsquest_cli.replies import text_reply
    from smsquest_cli.server import bind
    from smsquest_cli.signing import Verifier
    from smsquest_cli.webhooks import Receiver, RuleAnswerer, create_app

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        log = open_log(Path(folder) / "events.sqlite3", run="benchmark")
        log._writer.execute(f"PRAGMA synchronous = {synchronous}")  # noqa: SLF001
        answerer = RuleAnswerer(text_reply("You said: {Body}"), "reply")
        receiver = Receiver(
            log, answerer, run="benchmark", verifier=Verifier(TOKEN), account_sid=ACCOUNT
        )
        receiver.public_url = PUBLIC
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
        env = {**os.environ, "NODE_PATH": str(node_modules), "NODE_ENV": "production"}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        says = process.stdout
    else:
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", name]
        env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
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


# The load


def signed_requests(count: int) -> list[bytes]:
    """Requests as Twilio sends them, each of a message of its own."""
    from smsquest_cli.signing import sign

    requests = []
    for number in range(count):
        sid = "SM" + secrets.token_hex(16)
        form = {
            "ToCountry": "US",
            "ToState": "CA",
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "ToCity": "SAN FRANCISCO",
            "FromZip": "94109",
            "SmsSid": sid,
            "FromState": "CA",
            "SmsStatus": "received",
            "FromCity": "SAN FRANCISCO",
            "Body": f"Hello quest, this is message number {number}!",
            "FromCountry": "US",
            "To": "+12025550100",
            "ToZip": "94107",
            "NumSegments": "1",
            "MessageSid": sid,
            "AccountSid": ACCOUNT,
            "From": f"+1202555{random.randrange(100):04}",
            "ApiVersion": "2010-04-01",
        }
        body = urlencode(form)
        head = {
            "Host": "quest.example",
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": len(body),
            "X-Twilio-Signature": sign(PUBLIC + "/sms", form.items(), TOKEN),
            "I-Twilio-Idempotency-Token": "5f1b0a51-7a3f-4c3e-8f0a-1d2c3b4a5968",
            "X-Home-Region": "us1",
            "X-Forwarded-For": "54.172.60.10",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "quest.example",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        requests.append(f"POST /sms HTTP/1.1\r\n{lines}\r\n{body}".encode())
    return requests


@dataclass
class Connection:
    socket: socket.socket
    started: float = 0.0
    received: bytes = b""


def load(port: int, requests: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Send *requests* over *connections* kept open; gives the seconds, and the latencies in ms."""
    selector = selectors.DefaultSelector()
    queue = iter(requests)

    def send(connection: Connection) -> bool:
        request = next(queue, None)
        if request is None:
            return False
        connection.received = b""
        connection.started = time.perf_counter()
        connection.socket.sendall(request)
        return True

    def reconnected(connection: Connection | None = None) -> Connection:
        if connection is not None:
            selector.unregister(connection.socket)
            connection.socket.close()
        made = Connection(socket.create_connection(("127.0.0.1", port), timeout=10))
        made.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(made.socket, selectors.EVENT_READ, made)
        return made

    latencies = []
    began = time.perf_counter()
    active = sum(send(reconnected()) for _ in range(connections))
    while active:
        for key, _ in selector.select(10):
            connection = key.data
            chunk = connection.socket.recv(65536)
            connection.received += chunk
            if chunk and not is_whole(connection.received):
                continue
            if not connection.received.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                sys.exit(f"not answered with 200: {connection.received[:200]!r}")
            latencies.append((time.perf_counter() - connection.started) * 1000)
            if not chunk or must_close(connection.received):
                connection = reconnected(connection)
            active -= not send(connection)
    return time.perf_counter() - began, latencies


def is_whole(answer: bytes) -> bool:
    """Whether head and body have come; without a length the body ends with the connection."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    _, named, after = head.lower().partition(b"content-length:")
    return bool(named) and len(body) >= int(after.partition(b"\r\n")[0])


def must_close(answer: bytes) -> bool:
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return b"connection: close" in head or head.startswith(b"http/1.0")


class Sender:
    """The second process: it makes the messages, sends them and says how that went."""

    def __init__(self, connections: int) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--send"]
        env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        self.process = subprocess.Popen(
            [*command, "--connections", str(connections)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, port: int, count: int) -> tuple[float, list[float]]:
        print(port, count, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the sender gave up")
        seconds, *latencies = map(float, line.split())
        return seconds, latencies


def send_as_told(connections: int) -> None:
    """What runs in that process."""
    for line in sys.stdin:
        port, count = map(int, line.split())
        seconds, latencies = load(port, signed_requests(count), connections)
        print(seconds, *latencies, flush=True)


# The rounds


@dataclass
class Slice:
    rate: float
    latencies: list[float]
    cpu: float  # µs a request
    foreign: float  # what everybody else used of the processor, 1 = one core


def processor_seconds(path: str, first: int, last: int) -> float:
    """The sum of some columns of a stat file; 0 where the system has none."""
    try:
        columns = Path(path).read_text().splitlines()[0].rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, columns[first:last])) / os.sysconf("SC_CLK_TCK")


def all_seconds() -> float:
    """What all of the machine has used, or had stolen from it."""
    return processor_seconds("/proc/stat", 1, 9) - processor_seconds("/proc/stat", 4, 6)


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
    print(f"{'app':45} {'req/s':>7} {'x':>6} {'p50 ms':>7} {'p99 ms':>7} {'cpu µs':>7}")
    for name in names:
        slices = [turn[name] for turn in made]
        cuts = statistics.quantiles([took for one in slices for took in one.latencies], n=100)
        rate = statistics.median(one.rate for one in slices)
        cpu = statistics.mean(one.cpu for one in slices)
        print(
            f"{APPS[name]:45} {rate:7.0f} {ratio(name, 'flask'):6.2f}"
            f" {cuts[49]:7.2f} {cuts[98]:7.2f} {cpu:7.0f}"
        )
    print()
    for other in names[:-1]:
        print(f"smsquest / {APPS[other]}: {ratio('smsquest', other):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--requests", type=int, default=500, help="messages to each app a round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--disturbance", type=float, default=0.15, help="in cores, still endured")
    parser.add_argument("--patience", type=float, default=300, help="seconds for all of it")
    parser.add_argument("--node-modules", type=Path, help="folder with express and twilio")
    parser.add_argument("--normal", action="store_true", help="also without waiting for the disk")
    parser.add_argument("--serve", choices=APPS, help=argparse.SUPPRESS)
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        globals()[f"serve_{options.serve}"]()
    elif options.send:
        send_as_told(options.connections)
    else:
        left_out = {"express": not options.node_modules, "normal": not options.normal}
        names = [name for name in APPS if not left_out.get(name)]
        compare(names, options)


if __name__ == "__main__":
    main()
