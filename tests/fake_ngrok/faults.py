"""What is to go wrong with the stand-in of an agent: FAKE_NGROK_FAULTS."""

from __future__ import annotations

import os

# Comma-separated in the environment; in brackets: the number that follows "=".
FAULTS_KNOWN = {
    "abrupt",  # after a fatal error, exit at once: pyngrok then mostly loses the reason
    "connect",  # [code] endpoints are refused with it
    "crash",  # [s] so long after the session began, the agent is killed
    "deaf",  # SIGTERM and SIGINT are ignored
    "drop",  # [s:s] so long after the session began it is lost, for so long
    "fail",  # [code] the session is refused with it
    "garbage",  # after each endpoint, a log line that is not UTF-8
    "killed",  # the agent is killed before it says anything, as an antivirus does
    "mute",  # nothing is said on standard output, ever
    "noisy",  # a line on standard error at the start
    "offline",  # the cloud is never reached; an error line at 0.5, 1, 2, 4 ... s
    "old",  # an agent before 3.30: no /api/endpoints, with which pyngrok waits for ever
    "slow",  # [s] the session begins only then
    "stall",  # [s] the local API answers a POST only then
    "strict",  # an endpoint has no field "inspect"
    "unowned",  # a URL that is asked for is refused with 313, as a random one of another day
}


def parse_faults(text):
    """The numbers by fault: ``"slow=2,drop=1:3,old"`` is ``{"slow": [2], "drop": [1, 3], …}``."""
    faults = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        faults[name] = [float(number) for number in value.split(":")] if value else []
    return faults


FAULTS = parse_faults(os.environ.get("FAKE_NGROK_FAULTS", ""))
