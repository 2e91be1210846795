"""What a user waits for, and what an idle smsquest costs: ``python benchmarks/waiting.py``.

Start-up beside ``python -c pass``, the sandbox until it is ready, a message until it is on the
screen, a callback until ``tail-status`` in another terminal shows it, the processor time of an idle
table and an idle ``tail-status``, and the memory after many events. Only the ratios and the limits
mean anything: machines differ.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measuring import SMSQUEST, Terminal, cpu_seconds, environment, print_table

RUNS = 9
MESSAGES = 40
SETTLING_SECONDS = 20  # in which Twilio is still asked whether there is more
IDLE_SECONDS = 20


def wall(command, env):
    """The median wall time of *command*, in seconds."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def texts(env, body):
    """A phone sends *body*; returns when the webhook was answered."""
    from smsquest_cli.runs import running
    from smsquest_cli.simulation import Text, phone_for

    (run,) = running(Path(env["SMSQUEST_HOME"]))
    with phone_for(None, run, None) as phone:
        return phone.text(Text(body=body, pace="instant"))


def p95(values):
    return sorted(values)[int(len(values) * 0.95)] * 1000


def main():
    rows = []
    with tempfile.TemporaryDirectory() as home:
        env = environment(SMSQUEST_HOME=home, TERM="xterm", COLUMNS="100", LINES="40")
        bare = wall([sys.executable, "-c", "pass"], env)
        script = shutil.which("smsquest", path=str(Path(sys.executable).parent))
        ways = {"-m smsquest_cli": SMSQUEST, "the script": [script]} if script else {"-m": SMSQUEST}
        for words, limit in (("--version", "≤ 1.5x"), ("--help", "≤ 7x"), ("explain 30007", "-")):
            found = [
                f"{wall([*command, *words.split()], env) / bare:.1f}x by {name}"
                for name, command in ways.items()
            ]
            rows.append((f"`{words}`, beside `python -c pass`", ", ".join(found), limit))

        ready = []
        for _ in range(5):
            serve = Terminal(["serve", "--sandbox", "--port", "0"], env)
            ready.append(serve.wait_for("waiting for the first message") - serve.started)
            serve.end()
        rows.append(("`serve --sandbox` until ready", f"{statistics.median(ready):.2f} s", "< 1 s"))

        serve = Terminal(["serve", "--sandbox", "--port", "0"], env)
        serve.wait_for("waiting for the first message")
        tail = Terminal(["tail-status", "--follow", "--since", "1h", "--wide"], env)
        texts(env, "warm up")
        tail.wait_for("delivered")
        shown, followed = [], []
        for index in range(MESSAGES):
            exchange = texts(env, f"message {index:03}")
            answered = time.perf_counter()
            shown.append(max(serve.wait_for(f"message {index:03}") - answered, 0))
            followed.append(max(tail.wait_for(exchange.replies[0][:30]) - answered, 0))
        rows.append(
            ("webhook answered → row on the screen, p95", f"{p95(shown):.0f} ms", "≤ 150 ms")
        )
        rows.append(
            (
                "webhook answered → `tail-status` elsewhere, p95",
                f"{p95(followed):.0f} ms",
                "≤ 250 ms",
            )
        )

        threading.Event().wait(SETTLING_SECONDS)
        before = [cpu_seconds(one.process.pid) for one in (serve, tail)]
        threading.Event().wait(IDLE_SECONDS)
        used = [
            (cpu_seconds(one.process.pid) - start) / IDLE_SECONDS * 100
            for one, start in zip((serve, tail), before, strict=True)
        ]
        rows.append(("idle `serve` with a table", f"{used[0]:.2f} % of a core", "< 0.5 %"))
        rows.append(("idle `tail-status`", f"{used[1]:.2f} % of a core", "< 0.5 %"))
        tail.end()
        serve.end()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    print_table(("what", "measured", "to reach"), *rows)


if __name__ == "__main__":
    main()
