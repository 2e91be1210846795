"""The public address that Twilio was given, and what part of it arrives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smsquest_cli.signing import signable_url
from smsquest_cli.webhook_urls import PATHS, STATUS, is_local

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """The base of the URLs that Twilio was given, as it signs them.

    A base with a path is that of a proxy, which may or may not strip the path from its requests.
    """

    base: str = ""
    path: str = ""

    @classmethod
    def of(cls, url: str) -> Self:
        """The address whose URLs begin with *url*."""
        base = signable_url(url).rstrip("/")
        return cls(base, urlsplit(base).path)

    def local_path(self, path: str) -> str:
        """*path* of a request, without the path of the address, if it came with that."""
        if self.path and path.startswith(self.path + "/"):
            return path[len(self.path) :]
        return path

    def url_of(self, target: str) -> str:
        """The URL that Twilio called, whose raw path and query came as *target*."""
        if self.path and target.startswith(self.path + "/"):
            return self.base.removesuffix(self.path) + target
        return self.base + target

    def why_unheard(self, callback: str) -> str | None:
        """Why nobody gets what Twilio reports to the URL *callback*; None if somebody may."""
        if self.is_dead_end(callback):
            way = f'use action="{self.path}{STATUS}"'
            where = "--forward-status says where your app takes it"
            return f"where smsquest answers 404: {way} ({where})"
        if _is_local(callback) and not _is_local(self.base):
            return f'which Twilio cannot reach: use action="{self.path}{STATUS}"'
        return None

    def is_dead_end(self, url: str) -> bool:
        """Whether *url* is one of ours that leads to nobody: only some paths are passed on."""
        ours, theirs = urlsplit(self.base), urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc) or self.leads_here(url):
            return False
        # Beside the path of a proxy there may be others; "/status" for its own is a usual slip.
        return theirs.path.startswith(f"{self.path}/") or theirs.path in PATHS

    def leads_here(self, url: str) -> bool:
        """Whether *url* is one at which we take requests."""
        return url.partition("?")[0] in {self.base + path for path in PATHS}

    def status_url(self, sid: str) -> str:
        """Where the status of a reply to the message *sid*, already quoted, should go."""
        return f"{self.base}{STATUS}?re={sid}"


def _is_local(url: str) -> bool:
    return is_local(urlsplit(url).hostname or "")
