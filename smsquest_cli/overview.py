"""The help of ``smsquest`` as a whole: the two first steps, the commands, the root options.

It is text, so that it can be shown before Typer is imported; a test keeps it in line with the
command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Name of the command -> the first line of its own help.
COMMANDS: Final[Mapping[str, str]] = {
    "serve": "Receive SMS here: server, tunnel, number, live table.",
    "configure-number": "Show, set or restore the SMS webhook of a number.",
    "tail-status": "Follow the delivery of messages.",
    "simulate": "Play a phone: deliver a signed inbound SMS to a serve, or to any URL.",
    "send": "Send an SMS, with the running serve as its status callback.",
    "replay": "Deliver a recorded webhook again, freshly signed.",
    "log": "Show what was recorded, filtered or followed.",
    "check": "Test a webhook handler against Twilio's contract.",
    "doctor": "Check everything between a phone and your handler.",
    "explain": "Say what an error code or a status means; works offline.",
}

OPTIONS: Final[Mapping[str, str]] = {
    "-p, --profile NAME": "A profile of the Twilio CLI to take credentials from.\n"
    "[env var: SMSQUEST_PROFILE]",
    "--env-file PATH": "Read this file instead of .env in the working folder.",
    "--debug": "Show tracebacks.",
    "--version": "Show the version.",
    "--install-completion": "Install completion for this shell.",
    "--show-completion": "Show completion for this shell, to copy or adapt it.",
    "-h, --help": "Show this help; smsquest COMMAND --help shows a command's.",
}


def overview() -> str:
    """What ``smsquest --help`` shows."""
    return "\n".join(
        [
            "Usage: smsquest [OPTIONS] COMMAND [ARGS]...",
            "",
            "  Receive Twilio SMS on your own machine.",
            "",
            "  No account yet?   smsquest serve --sandbox",
            "  Have a number?    smsquest serve --forward-to http://127.0.0.1:5001/sms",
            "",
            "Commands:",
            *_listed(COMMANDS, 18),
            "",
            "Options:",
            *_listed(OPTIONS, 22),
        ]
    )


def _listed(entries: Mapping[str, str], width: int) -> list[str]:
    lines = []
    for name, text in entries.items():
        first, *rest = text.split("\n")
        lines.append(f"  {name:<{width}}{first}")
        lines += [f"  {'':<{width}}{line}" for line in rest]
    return lines
