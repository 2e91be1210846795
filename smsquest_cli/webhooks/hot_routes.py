"""The routes that Twilio calls, as plain WSGI in front of the Flask app.

Flask's request and response cost more than all that we do with a webhook (see
``docs/decisions/0001``). Whatever is not one of these routes goes on to Flask.
"""

from __future__ import annotations

from http.client import responses as phrases
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from smsquest_cli.server.quick import Incoming
from smsquest_cli.webhook_urls import PATHS
from smsquest_cli.webhooks.receiver import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from smsquest_cli.server.quick import Response
    from smsquest_cli.webhooks.receiver import Receiver
    from smsquest_cli.wire import Headers, WsgiApp


class HotRoutes:
    """A WSGI app that answers ``/sms`` and ``/status`` and leaves the rest to *app*."""

    def __init__(self, receiver: Receiver, app: WsgiApp) -> None:
        self._receiver = receiver
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        path: str = environ["PATH_INFO"]
        if path not in PATHS:
            local = self._receiver.local_path(path)
            if local not in PATHS:
                environ["PATH_INFO"] = local
                return self._app(environ, start_response)
        method: str = environ["REQUEST_METHOD"]
        if method not in ("POST", "GET"):
            body = b"" if method == "HEAD" else b"405 Only GET and POST\n"
            return _answered(start_response, 405, (*TEXT, ("Allow", "GET, POST")), body)
        length = _length(environ)
        body = environ["wsgi.input"].read(length) if length else b""
        incoming = Incoming(method, path, target_of(environ), _fields(environ), body)
        responses: list[Response] = []
        self._receiver.handle(incoming, responses.append)
        return _answered(start_response, *responses[0])


def _fields(environ: dict[str, Any]) -> dict[str, str]:
    """The headers of the request by their names in CGI."""
    fields = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
    if content_type := environ.get("CONTENT_TYPE"):
        fields["CONTENT_TYPE"] = content_type
    return fields


def target_of(environ: dict[str, Any]) -> str:
    """Path and query as they stand in the request line, which is what Twilio signed."""
    target: str = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    if target.startswith("/"):
        return target
    if "://" in target:  # the absolute form, meant for proxies
        path = "/" + target.partition("://")[2].partition("/")[2]
        return path.partition("#")[0]
    query = environ.get("QUERY_STRING")
    path = quote(environ["PATH_INFO"].encode("latin-1"))
    return f"{path}?{query}" if query else path


def _length(environ: dict[str, Any]) -> int:
    try:
        return max(0, int(environ.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


def _answered(
    start_response: Callable[..., Any], status: int, headers: Headers, body: bytes
) -> list[bytes]:
    sent = [*headers, ("Content-Length", str(len(body)))]
    start_response(f"{status} {phrases.get(status, 'Unknown')}", sent)
    return [body]
