"""Requests answered without WSGI: in the thread that reads them, or in one of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from smsquest_cli.wire import Headers

    Response = tuple[int, Headers, bytes]

# The headers that belong to one connection, and not to the request.
OF_CONNECTION: Final = frozenset(
    {
        "CONNECTION",
        "CONTENT_LENGTH",
        "KEEP_ALIVE",
        "PROXY_AUTHENTICATE",
        "PROXY_AUTHORIZATION",
        "TE",
        "TRAILER",
        "TRAILERS",
        "TRANSFER_ENCODING",
        "UPGRADE",
    }
)

_NAMES: dict[str, str] = {}
_MOST_NAMES: Final = 1000  # strangers may invent names


@dataclass(slots=True)
class Incoming:
    """A request as it came: ``target`` is its raw path and query, ``path`` the decoded path.

    The names of ``fields`` are those of its headers as CGI writes them: ``CONTENT_TYPE``.
    """

    method: str
    path: str
    target: str
    fields: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> str:
        """The raw query."""
        return self.target.partition("?")[2]

    def headers(self) -> Headers:
        """All headers but those of the connection, in their usual spelling."""
        return tuple(
            [
                (_NAMES.get(name) or _usual(name), value)
                for name, value in self.fields.items()
                if name not in OF_CONNECTION
            ]
        )


class Quick(Protocol):
    """Answers some requests itself; a response is a status, headers and a body."""

    def takes(self, method: str, path: str) -> bool:
        """Whether it answers such a request itself."""

    def answer(self, requests: Sequence[Incoming]) -> Sequence[Response | None]:
        """The response to each of *requests*, at once; None for those that take longer."""

    def handle(self, request: Incoming, respond: Callable[[Response], None]) -> None:
        """Call *respond* once, however long it takes; called in a thread of its own."""


def _usual(name: str) -> str:
    """``X_TWILIO_SIGNATURE`` as it is usually written."""
    usual = name.replace("_", "-").title()
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[name] = usual
    return usual
