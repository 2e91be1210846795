"""What people and programs see of the event log: a live table, lines, or JSON records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from smsquest_cli.console import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from smsquest_cli.events import Event


@dataclass(frozen=True, slots=True)
class Header:
    """What stands above the events: (label, text) lines, and what Ctrl-C does."""

    lines: tuple[tuple[str, str], ...]
    footer_hint: str = "Ctrl-C stops"

    def __iter__(self) -> Iterator[str]:
        """Its lines, with the texts below each other."""
        for label, text in self.lines:
            yield f"{label:<10}{text}" if label else text


class View(Protocol):
    """Shows events while it is entered; `show` is called with what is new, in order."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None: ...

    def show(self, batch: Sequence[Event]) -> None:
        """Show *batch*, or as much as is worthwhile now: `due` says whether there is more."""

    def due(self) -> float | None:
        """The seconds until `refresh` should be called; None while nothing waits for it."""

    def refresh(self) -> None:
        """Show what was put off, if it is time."""


def make_view(output: Output, *, header: Header | None = None) -> View:
    """The view of a run: *header* above it or, off the screen, on standard error."""
    if output is Output.TABLE:
        from smsquest_cli.views.table import Table

        return Table(header)
    return _plain_view(output, header)


def make_log_view(output: Output, *, follow: bool) -> View:
    """The view of what is in the log, of whatever runs; to *follow*, or to be shown once."""
    if output is Output.TABLE:
        from smsquest_cli.views.listing import Listing
        from smsquest_cli.views.table import Table

        return Table(Header((), "Ctrl-C leaves"), ends=False) if follow else Listing()
    return _plain_view(output, None)


def make_delivery_view(output: Output, *, wide: bool = False) -> View:
    """The view of deliveries, fed with message states and problems; a *wide* table cuts nothing."""
    if output is Output.TABLE:
        from smsquest_cli.views.deliveries import DeliveryTable

        return DeliveryTable(wide=wide)
    from smsquest_cli.views.aside import Aside

    return Aside(_plain_view(output, None), also=output is Output.JSON)


def _plain_view(output: Output, header: Header | None) -> View:
    from smsquest_cli.views.lines import Lines
    from smsquest_cli.views.records import Records

    return Records(header) if output is Output.JSON else Lines(header)
