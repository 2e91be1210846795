"""A lane for quick requests in waitress: answered in the thread that reads them.

waitress hands each request to a thread, which costs more than a webhook does. Here the requests
that have come in one round of the loop and that need not wait are answered together, before the
next round; all others go to the threads as ever.
"""

from __future__ import annotations

import time
from collections import deque
from http.client import responses
from typing import TYPE_CHECKING, Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import build_http_date

from smsquest_cli.server.quick import Incoming

if TYPE_CHECKING:
    import socket
    import threading
    from typing import Self

    from smsquest_cli.server.quick import Quick
    from smsquest_cli.wire import Headers, WsgiApp

POLL_SECONDS: Final = 10.0  # nothing waits for it; idle connections are looked at then
NO_BODY: Final = frozenset({204, 304})


class LaneParser(HTTPRequestParser):
    """A request on its way in."""

    def received(self, data: bytes) -> int:
        """Take what belongs to the request of *data*; how much that was."""
        consumed = super().received(data)
        if self.completed:  # or waitress would tell the client to go on, and wait for it
            self.expect_continue = False
        return consumed


class LaneTask(WSGITask):
    """A request that a thread answers; an app's own headers go out as the app has written them."""

    response_headers: list[tuple[str, str]]

    def build_response_header(self) -> bytes:
        """The head of the answer, without what waitress makes of it."""
        written = {name.lower(): name for name, _ in self.response_headers}
        first, *lines = super().build_response_header().decode("latin-1").split("\r\n")
        kept = [first]
        for line in lines:
            name, colon, value = line.partition(":")
            if name != "Via" or "via" in written:  # it takes itself for a proxy then
                kept.append(written.get(name.lower(), name) + colon + value)
        return "\r\n".join(kept).encode("latin-1")


class LaneChannel(HTTPChannel):
    """One connection."""

    parser_class = LaneParser
    task_class = LaneTask
    if TYPE_CHECKING:  # what the type stubs of waitress leave out
        server: LaneServer
        requests: list[Any]
        request: Any
        requests_lock: threading.Lock

    def quick_request(self) -> Incoming:
        """The request that is to be answered next."""
        request = self.requests[0]
        body = b""
        if request.body_rcv is not None:
            stream = request.get_body_stream()
            body = stream.read()
            stream.seek(0)  # a thread may have to read it after all
        return Incoming(request.command, request.path, request.request_uri, request.headers, body)

    def finish(self, answer: bytes) -> None:
        """Send *answer* to that request and go on to the next; what is left is sent later."""
        self.last_activity = time.time()
        if self.connected:
            self._send(answer)
        with self.requests_lock:
            done = self.requests.pop(0)
            done.close()
            if done.connection_close or not self.connected:
                self.close_when_flushed = True
                self.requests.clear()
            elif self.requests:
                self.server.add_task(self)
            elif self._waits_for_continue():
                self.send_continue()

    def _send(self, answer: bytes) -> None:
        try:
            sent = 0 if self.total_outbufs_len else self.send(answer)
        except OSError:
            self.handle_close()
            return
        if sent < len(answer) and self.connected:
            self._send_later(answer[sent:])

    def _send_later(self, rest: bytes) -> None:
        with self.outbuf_lock:
            self.outbufs[-1].append(rest)
            self.current_outbuf_count += len(rest)
            self.total_outbufs_len += len(rest)

    def _waits_for_continue(self) -> bool:
        partly = self.request
        return (
            partly is not None
            and partly.expect_continue
            and partly.headers_finished
            and not self.sent_continue
        )


class LaneServer(TcpWSGIServer):
    """waitress's server with the lane."""

    channel_class = LaneChannel
    trigger: Any  # wakes the loop, from any thread, to call a function there
    active_channels: dict[int, LaneChannel]  # type: ignore[assignment]
    _map: dict[int, Any]
    _quick: Quick | None
    _ready: deque[LaneChannel]
    _date: tuple[int, str]

    @classmethod
    def on(
        cls, listener: socket.socket, app: WsgiApp, *, quick: Quick | None, **settings: object
    ) -> Self:
        """A server for *app* on the listening socket; *quick* has the lane."""
        adjustments = Adjustments(sockets=[listener], **settings)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(adjustments.threads)
        server = cls(
            app,
            {},
            True,
            listener,
            dispatcher=dispatcher,
            adj=adjustments,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )
        server._quick = quick
        server._ready = deque()
        server._date = (0, "")
        return server

    @property
    def is_busy(self) -> bool:
        """Whether requests are under way."""
        return bool(self._ready or self.task_dispatcher.queue or self.task_dispatcher.active_count)

    def run(self) -> None:
        """Serve until `end` is called, in this thread."""
        while self._map:
            patience = 0.0 if self._ready else POLL_SECONDS
            wasyncore.loop(patience, use_poll=True, map=self._map, count=1)
            if self._ready:
                self._answer_ready()

    def refuse_connections(self) -> None:
        """Close the listening socket; to be called in the thread that runs."""
        wasyncore.dispatcher.close(self)

    def end(self) -> None:
        """Close everything, which ends `run`; to be called in the thread that runs."""
        for channel in [*self.active_channels.values()]:
            channel.handle_close()
        wasyncore.close_all(self._map)

    def add_task(self, channel: LaneChannel) -> None:  # type: ignore[override]
        """Take the next request of *channel* into the lane, or give it to a thread."""
        request = channel.requests[0]
        if (
            self._quick is not None
            and request.error is None
            and request.version == "1.1"
            and request.request_uri.startswith("/")
            and self._quick.takes(request.command, request.path)
        ):
            self._ready.append(channel)
        else:
            self.task_dispatcher.add_task(channel)  # type: ignore[arg-type]

    def _answer_ready(self) -> None:
        assert self._quick is not None
        channels = [self._ready.popleft() for _ in range(len(self._ready))]
        requests = [channel.quick_request() for channel in channels]
        try:
            answers = self._quick.answer(requests)
        except Exception:
            self.logger.exception("Exception in the lane")
            answers = [None] * len(channels)
        for channel, answer in zip(channels, answers, strict=True):
            if answer is None:
                self.task_dispatcher.add_task(channel)  # type: ignore[arg-type]
                continue
            try:
                channel.finish(self._bytes_of(*answer))
            except Exception:  # what is wrong with one connection is not to end them all
                self.logger.exception("Exception in the lane")
                channel.handle_close()

    def _bytes_of(self, status: int, headers: Headers, body: bytes) -> bytes:
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, build_http_date(now))
        lines = [f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}", f"Date: {self._date[1]}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if status not in NO_BODY:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + body
