"""The console script ``smsquest``, also ``python -m smsquest_cli``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:  # answered before anything heavy is imported
        from smsquest_cli import __version__

        print(f"smsquest {__version__}")  # noqa: T201
        return
    from smsquest_cli.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
