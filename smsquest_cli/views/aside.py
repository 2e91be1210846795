"""Problems beside a view, not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from smsquest_cli import console
from smsquest_cli.events import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.events import Event
    from smsquest_cli.views import View


class Aside:
    """Says problems on standard error; *view* shows the rest, and with *also* the problems too."""

    def __init__(self, view: View, *, also: bool) -> None:
        self._view = view
        self._also = also

    def __enter__(self) -> Self:
        self._view.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._view.__exit__(None, None, None)

    def show(self, batch: Sequence[Event]) -> None:
        """Show *batch*."""
        for event in batch:
            if isinstance(event, Problem):
                console.show_problem(event)
        self._view.show([one for one in batch if self._also or not isinstance(one, Problem)])

    def due(self) -> float | None:
        """The seconds until `refresh` should be called; None while nothing waits for it."""
        return self._view.due()

    def refresh(self) -> None:
        """Show what was put off, if it is time."""
        self._view.refresh()
