"""URLs on the web: what is one, whose webhook it is by its address, and how to show it."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from smsquest_cli.problems import UsageError

# The paths at which Twilio reaches us: with messages, and with status callbacks.
SMS: Final = "/sms"
STATUS: Final = "/status"
PATHS: Final = frozenset({SMS, STATUS})

TUNNELS: Final = (
    "ngrok.io",
    "ngrok.app",
    "ngrok.dev",
    "ngrok.pizza",
    "ngrok-free.app",
    "ngrok-free.dev",
    "trycloudflare.com",
    "cfargotunnel.com",
    "loca.lt",
    "localtunnel.me",
    "lhr.life",
    "lhr.rocks",
    "ts.net",
    "devtunnels.ms",
    "app.github.dev",
    "githubpreview.dev",
    "gitpod.io",
    "serveo.net",
    "serveousercontent.com",
    "zrok.io",
    "pinggy.link",
    "pinggy.online",
    "bore.pub",
    "tunnelmole.net",
    "sharedwithexpose.com",
)
_LOCAL: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_SHORT: Final = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]+|[0-9]+)){0,3}")
_LOGIN: Final = re.compile(r"\A([^/?#]*//)[^/?#]*@")
_ANY_LOGIN: Final = re.compile(r"\A(\w+:/+)?.*@", re.DOTALL)  # also with a slash in the password
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))
NOTHING: Final = "no webhook"
DEMO: Final = "Twilio's demo reply"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a webhook is: ``kind`` for programs, ``words`` for people."""

    kind: str  # none, demo, studio, function, twiml-bin, twilio, tunnel, local or production
    words: str

    @property
    def is_free(self) -> bool:
        """Whether nobody would miss it."""
        return self.kind in ("none", "demo")


def owner_of(url: str) -> Owner:  # noqa: PLR0911 - one for each kind
    """Whose *url* is, by its host and path."""
    if not url.strip():
        return Owner("none", NOTHING)
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".")
    if host == "demo.twilio.com":
        return Owner("demo", DEMO)
    if host == "webhooks.twilio.com" and "/flows/" in parts.path.lower():
        return Owner("studio", "a Studio flow")
    if host == "handler.twilio.com":
        return Owner("twiml-bin", "a TwiML Bin")
    if host.endswith(".twil.io"):
        return Owner("function", "a Twilio Function")
    if host.endswith(".twilio.com"):
        return Owner("twilio", "a product of Twilio (Proxy, Flex, …)")
    if any(host == tunnel or host.endswith(f".{tunnel}") for tunnel in TUNNELS):
        return Owner("tunnel", "somebody's tunnel")
    if is_local(host):
        return Owner("local", "an address in a private network")
    return Owner("production", "somebody's app")


def is_local(host: str) -> bool:
    """Whether *host* is this computer, or in a private network, where Twilio cannot reach it."""
    host = host.rstrip(".")
    try:
        return not ipaddress.ip_address(_in_full(host)).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL)


def web_parts(url: str) -> SplitResult | None:
    """*url* taken apart; None unless it is an absolute http or https URL, without blanks in it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets without an address, or a port that is not a number
        return None
    blank = any(character <= " " or character.isspace() for character in url)
    return parts if usable and not blank else None


def _in_full(host: str) -> str:
    """*host* as four numbers, if it is an address in a shorter form, such as ``127.1``."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if _SHORT.fullmatch(host) else host
    except OSError:
        return host


def webhook(text: str, *, option: str, allow_local: bool = False) -> str:
    """The URL *text*, as Twilio can call it.

    Raises `UsageError`: U6 if it is not one, N9 if Twilio cannot reach it, unless *allow_local*.
    """
    url = text.strip()
    parts = web_parts(url)
    if parts is None or not url.isascii():
        expected = shown(in_ascii(url) or "https://example.com/sms")
        raise UsageError("U6", option=option, value=shown(url), expected=expected)
    if not allow_local and is_local(parts.hostname or ""):
        raise UsageError("N9", url=shown(url))
    return url


def shown(url: str) -> str:
    """*url* as screens show it: without the user and password that may be in it.

    It need not be one that can be called: what is mistyped holds a password all the same.
    """
    login = _LOGIN if web_parts(url) else _ANY_LOGIN
    return login.sub(r"\1***@", url)


def in_ascii(url: str) -> str | None:
    """*url* as it is written in ASCII, or None where that is not all that keeps it from use."""
    parts = web_parts(url)
    if parts is None or url.isascii():
        return None
    login, at, host = parts.netloc.rpartition("@")
    try:
        netloc = login + at + host.encode("idna").decode()
    except UnicodeError:  # a name that no name server can have
        return None
    return quote(parts._replace(netloc=netloc).geturl(), safe=_PRINTABLE)


def described(url: str, method: str | None = None) -> str:
    """*url* and *method* in words: ``POST https://…``, or that it is nobody's."""
    owner = owner_of(url)
    if owner.is_free:
        return owner.words
    return f"{method} {shown(url)}" if method else shown(url)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.hostname
    except ValueError:
        return SplitResult("", "", url, "", "")
    return parts
