"""The console script ``smsquest``, also ``python -m smsquest_cli``."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    match sys.argv[1:]:  # the first questions are answered before Typer is imported
        case ["--version"]:
            from smsquest_cli import __version__

            print(f"smsquest {__version__}")  # noqa: T201
            return
        case ["--help" | "-h"]:
            from smsquest_cli.overview import overview

            try:
                print(overview(), flush=True)  # noqa: T201
            except BrokenPipeError:  # | head
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
    try:
        from smsquest_cli.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while the imports were under way
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
