"""Our own bugs: one line for everybody, the traceback for those who ask with ``--debug``."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import SmsquestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from smsquest_cli.cli.invocation import Invocation

PACKAGE: Final = Path(__file__).parents[1]


def show_bug(err: BaseException, invocation: Invocation) -> int:
    """Report *err* as a bug of ours, with its place in our code; returns the exit code.

    Its own message is left out: it may hold anything.
    """
    from smsquest_cli import console

    if invocation.debug:
        import traceback

        traceback.print_exception(err)
    bug = SmsquestError("B1", kind=type(err).__name__, place=_place(err.__traceback__))
    console.show_error(bug, output=invocation.output)
    return bug.exit_code


@contextmanager
def bugs_of_threads(invocation: Invocation) -> Iterator[None]:
    """Show errors that end a thread in the same way, each place once."""
    told: set[tuple[type[BaseException], str]] = set()

    def show(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or issubclass(args.exc_type, SystemExit):
            return
        bug = args.exc_type, _place(args.exc_traceback)
        if bug not in told:
            told.add(bug)
            show_bug(args.exc_value, invocation)

    former, threading.excepthook = threading.excepthook, show
    try:
        yield
    finally:
        threading.excepthook = former


def _place(trace: TracebackType | None) -> str:
    """The last line of ours on the way to an error: ``serving/session.py:120``."""
    place = "?"
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            place = f"{path.relative_to(PACKAGE).as_posix()}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
