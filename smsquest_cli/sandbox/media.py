"""The media of a message, each with the type that Twilio would guess from its address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli.messages import Media
from smsquest_cli.sandbox.resources import Attachment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from smsquest_cli.sandbox.account import Account

# A table of our own: what the operating system knows differs from one computer to the next.
CONTENT_TYPES: Final[Mapping[str, str]] = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "wav": "audio/wav",
    "webp": "image/webp",
}
DEFAULT_TYPE: Final = "image/jpeg"


def attachments(account: Account, media: Iterable[Media | str]) -> tuple[Attachment, ...]:
    """*media*, each with a SID of its own and a content type."""
    return tuple(
        Attachment(account.sids.new("ME"), medium.url, medium.content_type or _type(medium.url))
        for medium in (Media(item) if isinstance(item, str) else item for item in media)
    )


def _type(url: str) -> str:
    extension = urlsplit(url).path.rpartition(".")[2].lower()
    return CONTENT_TYPES.get(extension, DEFAULT_TYPE)
