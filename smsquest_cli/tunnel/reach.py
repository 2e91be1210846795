"""Whether a public URL leads here: a request to ourselves on the way that Twilio's would take."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli.problems import TunnelError
from smsquest_cli.tunnel.refusals import QUOTAS, is_clock_trouble, now_here
from smsquest_cli.webhook_urls import is_local

if TYPE_CHECKING:
    from email.message import Message
    from urllib.request import OpenerDirector

PROBE_SECONDS: Final = 5.0
AGREEING: Final = 3  # own answers in a row: a pooled address gives every other one to somebody else
MAX_ANSWER: Final = 4096
LOGIN_REQUIRED: Final = 511
NGROK_WORDS: Final = {
    "3200": "ngrok says that it is offline, ERR_NGROK_3200",
    "6024": "ngrok's warning page came instead, ERR_NGROK_6024",
    "8012": "ngrok cannot reach the local server, ERR_NGROK_8012",
}
_NGROK_CODE: Final = re.compile(r"ERR_NGROK_(\d+)")


def self_test(url: str, expected_run: str, timeout: float = 10.0) -> float:
    """How many ms ``/healthz`` of the run *expected_run* takes through the public *url*.

    A new tunnel may need a moment: tried again for *timeout* seconds. Raises `TunnelError`: T12
    if another run answers too, T19 with the reason if ours does not, or T11 or T13.
    """
    opener = _opener(url)
    deadline = time.monotonic() + timeout
    pause = 0.1
    while True:
        asked = time.monotonic()
        found = _ask(opener, url, min(PROBE_SECONDS, max(deadline - asked, 0.1)))
        if found.run == expected_run:
            ms = (time.monotonic() - asked) * 1000
            break
        if found.run is not None:
            raise TunnelError("T12", url=url)
        if found.problem is not None:
            raise found.problem
        if time.monotonic() + pause > deadline:
            raise TunnelError("T19", url=url, reason=found.reason)
        time.sleep(pause)
        pause = min(pause * 2, 1.0)
    for _ in range(AGREEING - 1):
        found = _ask(opener, url, PROBE_SECONDS)
        if found.run != expected_run and (found.run or found.foreign):
            raise TunnelError("T12", url=url)
    return ms


@dataclass(frozen=True, slots=True)
class _Found:
    """What a probe found: the run that answered, or why none did."""

    run: str | None = None
    reason: str = ""
    foreign: bool = False  # another server answered, neither the network nor ngrok itself
    problem: TunnelError | None = None  # trying again would not help


def _opener(url: str) -> OpenerDirector:
    """An opener that uses the proxy of this network, if there is one, but never for this computer.

    It has no handler for redirects and errors: these are answers, but not ours.
    """
    from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler

    opener = OpenerDirector()
    here = is_local(urlsplit(url).hostname or "")
    opener.add_handler(ProxyHandler({}) if here else ProxyHandler())
    opener.add_handler(HTTPHandler())
    opener.add_handler(HTTPSHandler())
    return opener


def _ask(opener: OpenerDirector, url: str, timeout: float) -> _Found:
    from urllib.error import URLError
    from urllib.request import Request

    # ngrok's warning page is for browsers; the header makes sure.
    request = Request(f"{url}/healthz", headers={"ngrok-skip-browser-warning": "1"})  # noqa: S310 - http(s) only: public_url
    try:
        with opener.open(request, timeout=timeout) as answer:
            return _judge(answer.status, answer.headers, answer.read1(MAX_ANSWER))
    except URLError as err:
        return _network_failure(err.reason)
    except (OSError, http.client.HTTPException) as err:
        return _network_failure(err)


def _judge(status: int, headers: Message, body: bytes) -> _Found:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and answer.get("ok") is True and "run" in answer:
        return _Found(run=str(answer["run"]))
    if match := _NGROK_CODE.search(headers.get("Ngrok-Error-Code", "")):
        code = match[1]
        if code in QUOTAS:
            return _Found(problem=TunnelError("T11", quota=QUOTAS[code], code=code))
        return _Found(reason=NGROK_WORDS.get(code, f"ngrok answers ERR_NGROK_{code}"))
    kind = headers.get_content_type()
    if status == LOGIN_REQUIRED or "Location" in headers:
        host = urlsplit(headers.get("Location", "")).hostname
        where = f" to {host}" if host else ""
        return _Found(
            reason=f"HTTP {status}{where}: a redirect, or the login page of this network",
            foreign=True,
        )
    return _Found(reason=f"another server answers HTTP {status}, {kind}", foreign=True)


def _network_failure(reason: object) -> _Found:
    if isinstance(reason, ssl.SSLCertVerificationError):
        if is_clock_trouble(reason.verify_message):
            return _Found(problem=TunnelError("T13", date=now_here()))
        return _Found(reason=f"its certificate is not trusted here: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return _Found(reason="no answer in time")
    if isinstance(reason, socket.gaierror):
        return _Found(reason="its name is not known here (DNS)")
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return _Found(reason=str(words))
