"""What ngrok said, turned into a problem with a next step: its codes, and what it says without one.

The texts of ngrok quote the authtoken (105, 107) and hold line ends as ``backslash n``; neither
gets out of here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import TunnelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Where each code is explained: https://ngrok.com/docs/errors/
QUOTAS: Final[Mapping[str, str]] = {"725": "bandwidth", "727": "requests"}
_TOKENS: Final[Mapping[str, str]] = {"105": "malformed", "107": "revoked or reset"}

_CODE: Final = re.compile(r"ERR_NGROK_(\d+)")
_QUOTED_TOKEN: Final = re.compile(r"(?i)(your authtoken:\s*)\S+")
_TOKEN_SHAPE: Final = re.compile(r"\b[A-Za-z0-9]{20,}_[A-Za-z0-9]{20,}\b")
_URL: Final = re.compile(r"https?://[^\s'\"]+")
_PREFIXES: Final = re.compile(
    r"^(?:ERROR:\s*|authentication failed:\s*|failed to start tunnel:\s*)+"
)
_OFFLINE: Final = re.compile(
    r"no such host|network is unreachable|no route to host|i/o timeout|connection refused|"
    r"connection reset|has no records|dial tcp|proxyconnect|certificate|x509|tls:",
    re.IGNORECASE,
)
_DIAL: Final = re.compile(r".*\bdial tcp:? ?")  # the same again in Go's words
_WEB_ADDR: Final = re.compile(r"listen tcp \S+: bind: .*", re.IGNORECASE)
_CLOCK: Final = re.compile(r"not yet valid|certificate has expired", re.IGNORECASE)
_LONGEST_REASON: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was tried, for the words of a refusal; ``token`` is here to be cut out of them."""

    path: str
    version: str
    config_path: str
    token_source: str
    owner: Callable[[str | None], str]  # who has an address: called only when it is taken
    url: str | None = None
    token: str | None = field(default=None, repr=False)


class NoAgentError(Exception):
    """The agent was not started, or has ended: ``kind`` is refused, late or vanished.

    ``said`` is all that was said and may quote the authtoken: it is not in the exception's text.
    """

    def __init__(self, kind: str, said: str, *, seconds: float) -> None:
        super().__init__(kind)
        self.kind = kind
        self.said = said
        self.seconds = seconds  # after the start


def problem_of(failure: NoAgentError, attempt: Attempt) -> TunnelError:
    """The problem to show for *failure*, without anything secret in it."""
    match = _CODE.search(failure.said)
    said = _plain(failure.said, attempt.token)
    if match:
        return _by_code(match[1], said, attempt)
    if failure.kind == "vanished":
        return TunnelError("T10", path=attempt.path)
    if match := _WEB_ADDR.search(said):
        return TunnelError("T20", path=attempt.config_path, reason=f"web_addr: {match[0]}")
    if _OFFLINE.search(said):
        if is_clock_trouble(said):
            return TunnelError("T13", date=now_here())
        return TunnelError("T17", reason=_DIAL.sub("", _reason(said)))
    reason = _reason(said) or "it did not say why"
    return TunnelError("T18", seconds=f"{failure.seconds:.0f}", reason=reason)


def is_clock_trouble(text: str) -> bool:
    """Whether *text* is what TLS says when a clock is wrong."""
    return _CLOCK.search(text) is not None


def now_here() -> str:
    """The time by this computer's clock, for the words of T13."""
    return f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M}"


def _by_code(code: str, said: str, attempt: Attempt) -> TunnelError:
    values: dict[str, str] = {"code": code}
    match code:
        case "105" | "107":
            id_ = "T2"
            values |= {"reason": _TOKENS[code], "source": attempt.token_source}
        case "120" | "121":
            id_ = "T3"
            values |= {"version": attempt.version, "reason": f"ERR_NGROK_{code}"}
        case "108":
            id_ = "T4"
            what = "this ngrok account has no agent session left"
            values |= {"what": what, "owner": attempt.owner(None)}
        case "334":
            id_ = "T4"
            found = _URL.search(said)
            url = attempt.url or (found[0] if found else None)
            what = f"{url or 'the address of this ngrok account'} is already online"
            values |= {"what": what, "owner": attempt.owner(url)}
        case "725" | "727":
            id_ = "T11"
            values |= {"quota": QUOTAS[code]}
        case "4018":
            id_ = "T1"
        case "9009":
            id_ = "T21"
        case _:
            id_ = "T15"
            values |= {"reason": _reason(said) or "no reason given"}
    return TunnelError(id_, **values)


def _plain(said: str, token: str | None) -> str:
    """*said* with real line ends and without the authtoken."""
    text = said.replace("\\r", "\r").replace("\\n", "\n").replace("\r\n", "\n")
    if token:
        text = text.replace(token, "…")
    return _TOKEN_SHAPE.sub("…", _QUOTED_TOKEN.sub(r"\1…", text))


def _reason(said: str) -> str:
    """The first line that says something, on one line and not too long."""
    for line in said.splitlines():
        words = " ".join(_PREFIXES.sub("", line.strip()).split())
        if words and not _CODE.fullmatch(words):
            short = words if len(words) <= _LONGEST_REASON else words[:_LONGEST_REASON] + "…"
            return short.rstrip(".")
    return ""
