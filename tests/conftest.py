"""Fixtures for tests that run the real program: a clean environment, commands, running serves."""

from __future__ import annotations

import json
import os
import queue
import signal
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import hypothesis
import pytest
from ports import closed_port, reserved_port
from program import COMMAND

from smsquest_cli import cli

# Nothing of whoever runs the tests may reach a process under test.
FOREIGN = ("TWILIO_", "NGROK_", "SMSQUEST_", "PYNGROK_", "XDG_", "COLUMNS", "LINES")
HYPOTHESIS_FOLDER = "HYPOTHESIS_STORAGE_DIRECTORY"
COLOURS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "PY_COLORS", "GITHUB_ACTIONS", "CI")


def pytest_configure(config):
    """Let Ctrl-C be one, also where a shell runs the tests in the background; hurry nobody."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes is the machine's affair.
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")
    if not os.environ.get(HYPOTHESIS_FOLDER):  # nothing is kept beside the sources
        folder = tempfile.TemporaryDirectory(prefix="hypothesis-")
        config.add_cleanup(folder.cleanup)
        os.environ[HYPOTHESIS_FOLDER] = folder.name


@pytest.fixture(scope="session", autouse=True)
def _a_closed_terminal_is_noticed():
    """Let SIGHUP reach processes under test, also where `nohup` has the tests ignore it.

    What is handled here, if only by nothing, is at its default in a process that is started.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory):
    """What lets processes under test keep Python's bytecode, as an installed program does.

    Where that is not wanted beside the sources it is kept in a temporary folder, for all of them.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(base / "bytecode")}


@pytest.fixture
def environment(tmp_path, bytecode):
    """The environment of a user who has nothing set up, with a home of their own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN) and name not in COLOURS and "proxy" not in name.lower()
    }
    return {
        **kept,
        **bytecode,
        "HOME": str(tmp_path),
        "SMSQUEST_HOME": str(tmp_path / "smsquest"),
        "TERM": "xterm-256color",
        "PYTHONWARNINGS": "error",
    }


@pytest.fixture
def smsquest(environment, tmp_path):
    """Run one command to its end: ``smsquest("explain", "30007")``; gives the completed process."""

    def run(*arguments, env=None, timeout=30, **options):
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            cwd=tmp_path,
            env={**environment, **(env or {})},
            timeout=timeout,
            **options,
        )

    return run


@pytest.fixture
def smsquest_here(environment, tmp_path, monkeypatch, capsys):
    """As `smsquest`, but in this process: many quick calls cost little."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, env=None):
        with monkeypatch.context() as patched:
            for name in [*os.environ]:
                patched.delenv(name)
            for name, value in {**environment, **(env or {})}.items():
                patched.setenv(name, value)
            capsys.readouterr()
            code = cli.run([*map(str, arguments)])
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run


class Serve:
    """A running ``smsquest serve --output json``; its records are read as they come."""

    def __init__(self, arguments, *, env, cwd, command=COMMAND):
        self.process = subprocess.Popen(
            [*command, "serve", *map(str, arguments), "--output", "json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        self.records = []
        self._news = queue.Queue()
        self._errors = []
        self._readers = [
            threading.Thread(target=self._read_records, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def ready(self):
        """The ``ready`` record, waited for."""
        return self.wait_for("ready")

    @property
    def stderr(self):
        """All of standard error so far; whole once the process has ended."""
        return "".join(self._errors)

    def wait_for(self, type_, *, timeout=20, after=None, **fields):
        """The first record of *type_* with these *fields*, waited for; fails if none comes.

        It is to come behind the record *after*, if one is given.
        """
        deadline = time.monotonic() + timeout

        def fits(record):
            return record["type"] == type_ and all(
                record.get(key) == value for key, value in fields.items()
            )

        start = self.records.index(after) + 1 if after else 0
        for record in self.records[start:]:
            if fits(record):
                return record
        while True:
            try:
                record = self._news.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                record = None
            if record is None:
                self.process.kill()
                pytest.fail(f"no {type_} {fields} in {self.records}; stderr: {self.stderr}")
            self.records.append(record)
            if fits(record):
                return record

    def send(self, number):
        """Send a signal to the process."""
        self.process.send_signal(number)

    def stop(self, number=signal.SIGINT, *, timeout=20):
        """Send *number*, wait for the end, and return the exit code."""
        self.send(number)
        return self.wait(timeout=timeout)

    def wait(self, *, timeout=20):
        """Wait for the end; every record is in ``records`` then. Returns the exit code."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        while (record := self._news.get(timeout=timeout)) is not None:
            self.records.append(record)
        return code

    def close(self):
        """End the process whatever it is doing."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def _read_records(self):
        for line in self.process.stdout:
            self._news.put(json.loads(line))
        self._news.put(None)

    def _read_errors(self):
        self._errors.extend(self.process.stderr)


@pytest.fixture
def serve(environment, tmp_path):
    """Start a ``serve``: ``serve("--sandbox")``; all are ended with the test."""
    running = []

    def start(*arguments, env=None, command=COMMAND):
        env = {**environment, **(env or {})}
        running.append(Serve(arguments, env=env, cwd=tmp_path, command=command))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def address():
    """A port of this computer and the public URL that leads there: somebody's own tunnel."""
    with reserved_port() as port:
        yield ("--port", port, "--public-url", f"http://127.0.0.1:{port}")


@pytest.fixture
def nobody():
    """An origin where nobody listens: named first, it outlives whatever may call it."""
    with closed_port() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The TLS context of a server for localhost that nobody has signed, as developers make it."""
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", path, "-out", path.with_suffix(".crt")],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path.with_suffix(".crt"), path)
    return context


@pytest.fixture
def home(environment):
    """The state folder of the programs under test."""
    return Path(environment["SMSQUEST_HOME"])
