"""SIGINT, SIGTERM, SIGHUP (SIGBREAK on Windows) as a question that a session asks.

A signal never raises in the middle of a change: code that may be cut short says so with
`interruptible`, everything else looks at `reason` when it is done.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType, TracebackType

# Exit codes of a run that a signal ended; after a clean stop Ctrl-C is normal use and gives 0.
REASONS: Final[Mapping[str, tuple[str, int]]] = {
    "SIGINT": ("interrupt", 130),
    "SIGBREAK": ("interrupt", 130),
    "SIGTERM": ("terminate", 143),
    "SIGHUP": ("terminate", 129),
}


class StopRequested(BaseException):  # like KeyboardInterrupt: not an error
    """A signal asked us to stop while `Signals.interruptible` code ran."""


class Signals:
    """What signals asked for since this was entered; the former handlers return on exit."""

    def __init__(
        self,
        on_repeat: Callable[[int], None] = lambda _count: None,
        *,
        to_the_end: bool = False,
    ) -> None:
        """*on_repeat* is told the count of signals from the second one on, in the main thread.

        *to_the_end* means that the process ends after the block: once a signal has come, later
        ones are ignored.
        """
        self._to_the_end = to_the_end
        self.reason: str | None = None
        self.exit_code = 0
        self.count = 0
        self._on_repeat = on_repeat
        self._raising = False
        self._former: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Handle the signals from now on, even in a shell's background job, which ignores SIGINT.

        A SIGHUP that is ignored stays so: that is what ``nohup`` is for.
        """
        for name in REASONS:
            number = getattr(signal, name, None)
            if number is None:
                continue
            if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Give the signals back to whoever had them."""
        if self._to_the_end and self.reason is not None:
            # Not given back: the system's handler would kill Python while it shuts down.
            for number in self._former:
                signal.signal(number, signal.SIG_IGN)
            return
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise `StopRequested` inside the block; at its start if one came before."""
        self._raising = True
        try:
            self.check()
            yield
        except RuntimeError as err:
            # Raised at the wrong moment inside a wait of `threading`, ours leaves it without the
            # lock that it is about to release, and becomes this on its way out.
            if self.reason is None:
                raise
            raise StopRequested from err
        finally:
            self._raising = False

    def check(self) -> None:
        """Raise `StopRequested` if a signal has come."""
        if self.reason is not None:
            raise StopRequested

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.reason is None:
            self.reason, self.exit_code = REASONS[signal.Signals(number).name]
        if self._raising:
            self._raising = False
            raise StopRequested
        if self.count > 1:
            with suppress(Exception):  # it would cut short what is being put back
                self._on_repeat(self.count)
