"""Lists, page by page, in the two forms of Twilio's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import urlencode

from smsquest_cli.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 1000
PAGING: Final = ("Page", "PageSize", "PageToken")


class _HasSid(Protocol):
    @property
    def sid(self) -> str: ...


T = TypeVar("T", bound=_HasSid)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: which, of what size, what is on it, and the queries of its neighbours."""

    number: int
    size: int
    items: Sequence[Any]
    queries: Mapping[str, str | None]  # first, this, next, previous


def page_of(items: Sequence[T], arguments: Mapping[str, str]) -> Page:
    """The page of *items* that the query *arguments* ask for; raises `Refusal` (21481).

    A page token names the item beside the page, so that new items do not shift the pages.
    """
    number, size = _number(arguments, "Page", 0), _number(arguments, "PageSize", DEFAULT_SIZE)
    size = min(max(size, 1), MAX_SIZE)
    start = number * size
    if token := arguments.get("PageToken"):
        places = {item.sid: place for place, item in enumerate(items)}
        if token[:2] not in ("PA", "PB") or token[2:] not in places:
            raise Refusal(21481)
        place = places[token[2:]]
        start = place + 1 if token[:2] == "PA" else max(0, place - size)
    shown = items[start : start + size]
    others = [(name, value) for name, value in arguments.items() if name not in PAGING]

    def query(page: int, token: str | None) -> str:
        tokens = [("PageToken", token)] if token else []
        return urlencode([*others, ("PageSize", str(size)), ("Page", str(page)), *tokens])

    more, before = start + size < len(items), start > 0 and bool(shown)
    return Page(
        number,
        size,
        shown,
        {
            "first": query(0, None),
            "this": query(number, token),
            "next": query(number + 1, f"PA{shown[-1].sid}") if more and shown else None,
            "previous": query(max(0, number - 1), f"PB{shown[0].sid}") if before else None,
        },
    )


def listed(page: Page, key: str, path: str, render: Callable[[Any], Any]) -> dict[str, Any]:
    """A list of the 2010 API: relative ``…_uri``, null at the end."""
    start = page.number * page.size
    return {
        "first_page_uri": f"{path}?{page.queries['first']}",
        "end": max(start + len(page.items) - 1, 0),
        "previous_page_uri": _joined(path, page.queries["previous"]),
        key: [render(item) for item in page.items],
        "uri": f"{path}?{page.queries['this']}",
        "page_size": page.size,
        "start": start,
        "next_page_uri": _joined(path, page.queries["next"]),
        "page": page.number,
    }


def listed_v1(page: Page, key: str, url: str, render: Callable[[Any], Any]) -> dict[str, Any]:
    """A list of a v1 API: absolute ``…_url`` in ``meta``."""
    return {
        "meta": {
            "page": page.number,
            "page_size": page.size,
            "first_page_url": f"{url}?{page.queries['first']}",
            "previous_page_url": _joined(url, page.queries["previous"]),
            "url": f"{url}?{page.queries['this']}",
            "next_page_url": _joined(url, page.queries["next"]),
            "key": key,
        },
        key: [render(item) for item in page.items],
    }


def _joined(path: str, query: str | None) -> str | None:
    return f"{path}?{query}" if query else None


def _number(arguments: Mapping[str, str], name: str, default: int) -> int:
    text = arguments.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else default  # noqa: PLR2004
