"""A lane for quick requests in waitress: answered in the thread that reads them.

waitress hands each request to a thread, which costs more than a webhook does. Here the requests
that have come in one round of the loop and that need not wait are answered together, before the
next round. Those that have to wait are answered in waitress's threads, without WSGI in between; all
others go to the app as usual.
"""

from __future__ import annotations

import time
from collections import deque
from http.client import responses as phrases
from typing import TYPE_CHECKING, Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import FixedStreamReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import BadRequest, build_http_date

from smsquest_cli.server.heads import plain_head
from smsquest_cli.server.quick import Incoming

if TYPE_CHECKING:
    import socket
    import threading
    from typing import Self

    from smsquest_cli.server.quick import Quick, Response
    from smsquest_cli.wire import Headers, WsgiApp

POLL_SECONDS: Final = 10.0  # nothing waits for it; idle connections are looked at then
TLS_HELLO: Final = b"\x16\x03"
NO_BODY: Final = frozenset({204, 304})


class LaneParser(HTTPRequestParser):
    """A request on its way in."""

    path = ""  # waitress logs it when a client leaves, even one that spoke no HTTP
    if TYPE_CHECKING:  # what the type stubs of waitress leave out
        request_uri: str
        proxy_scheme: str
        proxy_netloc: str
        command: str  # type: ignore[assignment]
        query: str
        fragment: str

    def parse_header(self, header_plus: bytes) -> None:
        """Take *header_plus*, the whole head, to pieces; raises `ParsingError`."""
        head = plain_head(header_plus)
        if head is None:
            try:
                super().parse_header(header_plus)
            except ValueError as err:  # a length with more digits than Python reads
                raise ParsingError("Content-Length is invalid") from err
            return
        self.command, self.request_uri, self.version = head.method, head.target, "1.1"
        self.path, self.query, self.fragment = head.path, head.query, ""
        self.proxy_scheme = self.proxy_netloc = ""
        self.url_scheme = self.adj.url_scheme
        self.headers = head.fields
        self.connection_close = head.fields.get("CONNECTION", "").lower() == "close"
        self.content_length = head.content_length
        if head.content_length:
            buffer = OverflowableBuffer(self.adj.inbuf_overflow)
            self.body_rcv = FixedStreamReceiver(head.content_length, buffer)

    def received(self, data: bytes) -> int:
        """Take the part of *data* that belongs to the request; returns its length."""
        begins = not (self.headers_finished or self.header_plus)
        if begins and data.startswith(TLS_HELLO):  # a TLS client would wait for our hello for ever
            self.error = BadRequest("This is http, not https")
            self.completed = True
            return len(data)
        consumed = super().received(data)
        if self.completed:  # else waitress would tell the client to go on, and wait for it
            self.expect_continue = False
        return consumed


class LaneChannel(HTTPChannel):
    """One connection."""

    parser_class = LaneParser
    if TYPE_CHECKING:  # what the type stubs of waitress leave out
        server: LaneServer
        requests: list[Any]
        request: Any
        requests_lock: threading.Lock

    def quick_request(self) -> Incoming:
        """The request to answer next."""
        request = self.requests[0]
        body = b""
        if request.body_rcv is not None:
            stream = request.get_body_stream()
            body = stream.read()
            stream.seek(0)  # a thread may have to read it after all
        return Incoming(request.command, request.path, request.request_uri, request.headers, body)

    def finish(self, answer: bytes) -> None:
        """Send *answer* to that request and go on to the next; the rest of it is sent later.

        May be called from any thread; one that is not the server's own must then wake the server.
        """
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
        with self.outbuf_lock:
            try:
                sent = 0 if self.total_outbufs_len else self.send(answer, do_close=False)
            except OSError:
                self.will_close = True
                return
            if rest := answer[sent:]:
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


class _Waiting:
    """A request that is answered in a thread of the dispatcher."""

    def __init__(self, channel: LaneChannel, request: Incoming) -> None:
        self._channel = channel
        self._request = request
        self._responded = False

    def service(self) -> None:
        """Answer it."""
        server = self._channel.server
        assert server.quick is not None
        try:
            server.quick.handle(self._request, self._respond)
        except Exception:
            server.logger.exception("Exception while serving %s", self._request.path)
            if not self._responded:
                self._respond((500, (), b""))

    def cancel(self) -> None:
        """Let it go unanswered."""
        self._channel.cancel()

    def _respond(self, response: Response) -> None:
        self._responded = True
        server = self._channel.server
        self._channel.finish(server.bytes_of(*response))
        server.pull_trigger()


class LaneServer(TcpWSGIServer):
    """waitress's server with the lane."""

    channel_class = LaneChannel
    trigger: Any  # wakes the loop, from any thread, to call a function there
    active_channels: dict[int, LaneChannel]  # type: ignore[assignment]
    _map: dict[int, Any]
    quick: Quick | None
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
        server.quick = quick
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
        """Close the listening socket; must be called in the thread that runs."""
        wasyncore.dispatcher.close(self)

    def end(self) -> None:
        """Close everything, which ends `run`; must be called in the thread that runs."""
        for channel in [*self.active_channels.values()]:
            channel.handle_close()
        wasyncore.close_all(self._map)

    def add_task(self, channel: LaneChannel) -> None:  # type: ignore[override]
        """Take the next request of *channel* into the lane, or give it to a thread."""
        request = channel.requests[0]
        if (
            self.quick is not None
            and request.error is None
            and request.version == "1.1"
            and request.request_uri.startswith("/")
            and self.quick.takes(request.command, request.path)
        ):
            self._ready.append(channel)
        else:
            self.task_dispatcher.add_task(channel)  # type: ignore[arg-type]

    def _answer_ready(self) -> None:
        assert self.quick is not None
        channels = [self._ready.popleft() for _ in range(len(self._ready))]
        requests = [channel.quick_request() for channel in channels]
        try:
            responses = self.quick.answer(requests)
        except Exception:
            self.logger.exception("Exception in the lane")
            responses = [None] * len(channels)
        for channel, request, response in zip(channels, requests, responses, strict=True):
            if response is None:
                self.task_dispatcher.add_task(_Waiting(channel, request))  # type: ignore[arg-type]
            else:
                channel.finish(self.bytes_of(*response))

    def bytes_of(self, status: int, headers: Headers, body: bytes) -> bytes:
        """A response as it is sent."""
        now, date = int(time.time()), self._date
        if date[0] != now:
            self._date = date = (now, build_http_date(now))
        lines = [f"HTTP/1.1 {status} {phrases.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if not any(name.lower() == "date" for name, _ in headers):  # an app may have sent its own
            lines.append(f"Date: {date[1]}")
        if status in NO_BODY:
            body = b""
        else:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + body
