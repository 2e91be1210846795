"""What the benchmarks share: signed messages and who sends them, terminals, processor time.

The sender is a process of its own (``measuring.py --send``), so that what it costs is not counted.
"""

from __future__ import annotations

import argparse
import os
import pty
import random
import re
import secrets
import select
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).parent
SMSQUEST = [sys.executable, "-m", "smsquest_cli"]
TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://quest.example"
ACCOUNT = "AC" + "1" * 32
BYTECODE = tempfile.TemporaryDirectory(prefix="bytecode")


def environment(**variables: str) -> dict[str, str]:
    """The variables of this process without settings of Twilio's or ours, and *variables*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TWILIO_", "SMSQUEST_", "NGROK_"))
    }
    if kept.pop("PYTHONDONTWRITEBYTECODE", None):  # an installed program has it
        kept["PYTHONPYCACHEPREFIX"] = BYTECODE.name
    return {**kept, "PYTHONPATH": str(HERE.parent), **variables}


def print_table(*rows: tuple[str, ...]) -> None:
    """*rows* as a table in Markdown, the first being its heading."""
    heading, *rest = rows
    for row in (heading, ("---",) * len(heading), *rest):
        print("| " + " | ".join(row) + " |")


# Processes


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


def cpu_seconds(pid: int) -> float:
    """The processor time that the process *pid* has used."""
    return processor_seconds(f"/proc/{pid}/stat", 11, 13)


def rss_megabytes(pid: int) -> float:
    """The memory that the process *pid* has in use."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


class Terminal:
    """A command on a terminal of its own; what it shows is read as it comes, with its time."""

    def __init__(self, arguments, env):
        self._terminal, inner = pty.openpty()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [*SMSQUEST, *arguments],
            stdin=inner, stdout=inner, stderr=inner, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(inner)
        self._shown = ""
        self._seen = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, text, timeout=30):
        """When *text* was on the screen, on ``time.perf_counter``."""
        with self._seen:
            if not self._seen.wait_for(lambda: text in self._shown, timeout):
                raise SystemExit(f"{text!r} never came: {self._shown[-400:]!r}")
            return time.perf_counter()

    def end(self):
        self.process.terminate()
        self.process.wait()

    def _read(self):
        while True:
            select.select([self._terminal], [], [])
            try:
                shown = os.read(self._terminal, 65536).decode("utf-8", "replace")
            except OSError:
                return
            with self._seen:
                self._shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
                self._seen.notify_all()


# Messages, and whoever sends them


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
        self.process = subprocess.Popen(
            [*command, "--connections", str(connections)],
            env=environment(),
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--send", action="store_true", required=True)
    parser.add_argument("--connections", type=int, default=8)
    send_as_told(parser.parse_args().connections)
