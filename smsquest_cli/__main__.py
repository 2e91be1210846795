"""The console script ``smsquest``, also ``python -m smsquest_cli``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    match sys.argv[1:]:  # the first questions are answered before Typer is imported
        case ["--version"]:
            from smsquest_cli import __version__

            print(f"smsquest {__version__}")  # noqa: T201
            return
        case ["--help" | "-h"]:
            from smsquest_cli.overview import overview

            print(overview())  # noqa: T201
            return
    from smsquest_cli.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
