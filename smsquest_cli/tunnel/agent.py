"""One ngrok agent with its one endpoint: started through pyngrok, listened to, ended.

pyngrok (9.1) starts an agent well and leaves much to its caller: no deadline, no word when the
agent dies, the authtoken on the command line, the agent's errors on our screen. What we do about
each of them stands here, beside the reason.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from smsquest_cli import wire
from smsquest_cli.tunnel import agent_records
from smsquest_cli.tunnel.refusals import NoAgentError
from smsquest_cli.tunnel.surroundings import (
    environment,
    loopback_unproxied,
    silence_pyngrok,
    standard_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyngrok.ngrok import NgrokTunnel as Endpoint
    from pyngrok.process import NgrokProcess

# What an agent tells while it runs: its session with ngrok is lost, is back; it has ended.
LOST: Final = "lost"
BACK: Final = "back"
ENDED: Final = "ended"
_NEWS: Final = (
    ("starting reconnect loop", LOST),
    ("failed to reconnect session", LOST),
    ("heartbeat timeout", LOST),
    ("client session established", BACK),
)

API_SECONDS: Final = 10.0  # for one request to the agent, which asks ngrok's service meanwhile
APPEAR_SECONDS: Final = 10.0  # until there is a process
GRACE_SECONDS: Final = 1.0
_window = threading.Lock()  # one start at a time has standard error and the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an agent is started: which one, with what settings, and how long that may take."""

    path: str
    has_endpoints: bool
    config_path: Path
    local_url: str
    home: Path
    token: str | None = field(default=None, repr=False)
    startup_seconds: int = 15  # pyngrok's limit, only checked when the agent prints
    seconds: float = 40.0  # ours, for agent and endpoint


class Agent:
    """A running agent; ``url`` is the public address of its endpoint."""

    def __init__(
        self, child: NgrokProcess, endpoint: Endpoint, record: Path, hear: Callable[[str], None]
    ) -> None:
        assert endpoint.public_url is not None  # pyngrok has made sure
        self.url = endpoint.public_url
        self.pid = child.proc.pid
        self._child = child
        self._endpoint = endpoint
        self._record = record
        self._hear = hear
        self._listener = threading.Thread(target=self._listen, name="ngrok-log", daemon=True)
        self._listener.start()

    @property
    def running(self) -> bool:
        """Whether the agent's process is there; this says nothing about its session."""
        return self._child.proc.poll() is None

    def close(self) -> None:
        """Take the endpoint down and end the agent, in about two seconds; may be called twice.

        pyngrok's own ``disconnect`` and ``kill`` may start an agent, wait for a lock that a start
        elsewhere holds, and forget other tunnels of this process.
        """
        from pyngrok import ngrok

        if self.running:
            with suppress(wire.ExchangeError):
                down = wire.Request("DELETE", f"{self._child.api_url}{self._endpoint.uri}")
                wire.send(down, connect_timeout=0.5, timeout=0.5)
        ngrok._current_tunnels.pop(self.url, None)  # noqa: SLF001
        _end(self._child)
        self._listener.join(GRACE_SECONDS)
        self._record.unlink(missing_ok=True)

    def _listen(self) -> None:
        """Read the agent's log to its end: an agent whose log nobody reads stops serving.

        pyngrok's own monitor thread ends at the first byte that it cannot decode, and does not tell
        that the agent has ended.
        """
        from pyngrok.log import NgrokLog

        log = self._child.proc.stdout
        assert log is not None
        with log:
            while True:
                try:
                    line = log.readline()
                except UnicodeDecodeError:
                    if self._child.proc.poll() is not None:
                        break
                    continue
                if not line:
                    break
                said = NgrokLog(line).msg or ""
                for phrase, news in _NEWS:
                    if phrase in said:
                        self._hear(news)
        self._child.proc.wait()
        self._hear(ENDED)


def start(
    launch: Launch,
    *,
    url: str | None = None,
    cancel: threading.Event,
    hear: Callable[[str], None] = lambda _news: None,
) -> Agent:
    """Start an agent with an endpoint at *url* (None: ngrok chooses) to the local server.

    Must be called in a thread that no signal reaches; *cancel* ends it early. Raises
    `NoAgentError`, and then no agent is left. *hear* is called from other threads and must not
    block.
    """
    if not os.path.exists(launch.path):  # noqa: PTH110 - else pyngrok would fetch another
        raise NoAgentError("vanished", "", seconds=0)
    connecting = _Connecting(launch, url)
    deadline = time.monotonic() + launch.seconds
    with tempfile.TemporaryFile() as last_words, loopback_unproxied(), ExitStack() as undo:
        undo.callback(connecting.abandon)
        with _window, environment(NGROK_AUTHTOKEN=launch.token), standard_error(last_words):
            connecting.start()
            child = connecting.child(until=time.monotonic() + APPEAR_SECONDS, cancel=cancel)
        late = child is None and not connecting.done.is_set()
        if child is not None:
            record = agent_records.record(launch.home, child.proc.pid, url=url)
            undo.callback(record.unlink, missing_ok=True)
            while not connecting.done.wait(0.02):
                late = time.monotonic() > deadline
                if late or cancel.is_set():
                    child.proc.kill()  # not pyngrok's kill, which waits for the start to end
                    connecting.done.wait(GRACE_SECONDS)
                    break
            endpoint = connecting.endpoint
            if endpoint is not None and not late and not cancel.is_set():
                agent_records.record(launch.home, child.proc.pid, url=endpoint.public_url)
                undo.pop_all()
                return Agent(child, endpoint, record, hear)
        undo.close()
        raise connecting.failure(last_words, late=late)


class _Connecting(threading.Thread):
    """pyngrok's ``connect``, which can hang for ever, in a thread of its own."""

    def __init__(self, launch: Launch, url: str | None) -> None:
        super().__init__(name="ngrok-connect", daemon=True)
        from pyngrok import process

        silence_pyngrok()
        self._processes = process._current_processes  # noqa: SLF001
        path = launch.path
        while process.is_process_running(path):  # that one has another's token and settings
            path = os.path.join(os.path.dirname(path), ".", os.path.basename(path))  # noqa: PTH118, PTH119, PTH120 - pathlib would drop the dot
        self._path = path
        self._launch = launch
        self._url = url
        self._began = time.monotonic()
        self._child: NgrokProcess | None = None
        self._abandoned = False
        self._error: BaseException | None = None
        self.endpoint: Endpoint | None = None
        self.done = threading.Event()

    def run(self) -> None:
        """Connect; whatever is raised is kept for `failure`."""
        from pyngrok import conf, ngrok
        from pyngrok.exception import PyngrokNgrokHTTPError

        launch = self._launch
        config = conf.PyngrokConfig(
            ngrok_path=self._path,
            config_path=str(launch.config_path),
            monitor_thread=False,  # `Agent` reads the log
            startup_timeout=launch.startup_seconds,
            request_timeout=API_SECONDS,
            start_new_session=True,  # Ctrl-C is for us: the number goes back before the agent ends
            config_version="3" if launch.has_endpoints else "2",
        )
        # pyngrok writes it on the command line, for all to read; the agent gets it from its
        # environment. Set only now: the constructor reads the environment too.
        config.auth_token = None
        options: dict[str, Any] = {}
        address = launch.local_url  # with 127.0.0.1, as "localhost" may be ::1
        if not launch.has_endpoints:
            address = urlsplit(address).netloc
            options |= {"domain": urlsplit(self._url).netloc} if self._url else {}
        elif self._url:
            options |= {"url": self._url}
        connect = partial(
            ngrok.connect, address, name=f"smsquest-{os.getpid()}", pyngrok_config=config
        )
        try:
            try:  # the agent's page would show the texts of messages to every user here
                self.endpoint = connect(inspect=False, **options)
            except PyngrokNgrokHTTPError as err:
                if err.status_code != HTTPStatus.BAD_REQUEST:
                    raise
                self.endpoint = connect(**options)  # this agent does not know the field
        except BaseException as err:  # noqa: BLE001 - of seven kinds, and all mean the same
            self._error = err
        finally:
            self.done.set()
            if self._abandoned:
                self.abandon()

    def child(self, *, until: float, cancel: threading.Event) -> NgrokProcess | None:
        """The agent's process as soon as there is one; None if none appears."""
        while not self.done.wait(0.005) and self._path not in self._processes:
            if cancel.is_set():
                until = min(until, time.monotonic() + GRACE_SECONDS)
            if time.monotonic() > until:
                break
        self._child = self._processes.get(self._path)
        return self._child

    def abandon(self) -> None:
        """Leave no agent behind, now and when pyngrok comes back from where it hangs."""
        from pyngrok import ngrok

        self._abandoned = True
        child = self._child or self._processes.get(self._path)
        if child is None:
            return
        _end(child)
        if self.endpoint is not None:
            ngrok._current_tunnels.pop(str(self.endpoint.public_url), None)  # noqa: SLF001
        if self.done.is_set() and child.proc.stdout is not None:
            child.proc.stdout.close()

    def failure(self, last_words: IO[bytes], *, late: bool) -> NoAgentError:
        """Why there is no agent: what pyngrok, the agent's log and its standard error say."""
        from pyngrok.exception import PyngrokNgrokError

        err, child = self._error, self._child
        seconds = time.monotonic() - self._began
        last_words.seek(0)
        spoken = last_words.read().decode("utf-8", "replace")
        logs = [*getattr(err, "ngrok_logs", ()), *(child.logs if child else ())]
        said = "\n".join(
            filter(
                None,
                (
                    _refusal_in(getattr(err, "body", "")),
                    getattr(err, "ngrok_error", None),
                    spoken,
                    *(log.err for log in logs if log.lvl in ("ERROR", "CRITICAL")),
                    "" if late or type(err) is PyngrokNgrokError else str(err or ""),
                ),
            )
        )
        if late:
            return NoAgentError("late", said, seconds=seconds)
        killed = (
            child is not None
            and child.proc.returncode == -getattr(signal, "SIGKILL", 9)
            and seconds < self._launch.startup_seconds
        )
        if killed or not os.path.exists(self._launch.path):  # noqa: PTH110
            return NoAgentError("vanished", said, seconds=seconds)
        return NoAgentError("refused", said, seconds=seconds)


def _refusal_in(body: str) -> str:
    """The reason in an answer of the agent's API; any other text is returned as it is."""
    try:
        answer = json.loads(body)
        return str(answer["details"]["err"])
    except (ValueError, KeyError, TypeError):
        return body


def _end(child: NgrokProcess) -> None:
    """End an agent and forget it in pyngrok: it is asked first, so that ngrok hears at once."""
    from pyngrok import process

    proc = child.proc
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            proc.kill()
            with suppress(subprocess.TimeoutExpired):
                proc.wait(GRACE_SECONDS)
    for path, known in list(process._current_processes.items()):  # noqa: SLF001
        if known is child:
            process._current_processes.pop(path, None)  # noqa: SLF001
