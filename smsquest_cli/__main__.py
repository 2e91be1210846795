"""The console script ``smsquest``, also ``python -m smsquest_cli``."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    match sys.argv[1:]:  # these are answered before Typer is imported
        case ["--version"]:
            from smsquest_cli import __version__

            _answer(f"smsquest {__version__}")
            return
        case ["--help" | "-h"]:
            from smsquest_cli.overview import overview

            _answer(overview())
            return
    try:
        from smsquest_cli.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while the imports were under way
        code = INTERRUPTED
    sys.exit(code)


def _answer(text: str) -> None:
    """Print *text*; exits if standard output cannot be written (L5)."""
    try:
        print(text, flush=True)  # noqa: T201
    except OSError as err:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(err, BrokenPipeError):  # | head
            return
        from smsquest_cli.problems import LocalError, reason_of

        told = LocalError("L5", reason=reason_of(err))
        print(f"error[L5]: {told.line}", file=sys.stderr)  # noqa: T201
        sys.exit(told.exit_code)


if __name__ == "__main__":
    main()
