"""The head of a plain request, read in one go; waitress judges all that is not plain."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

# A subset of what RFC 9110 and 9112 allow, and waitress takes: one spelling of everything, no
# fragment, no folded lines, no name with an underscore (which CGI takes for a hyphen).
_PLAIN: Final = re.compile(
    rb"(?:GET|POST) /[!\"$-~\x80-\xff]* HTTP/1\.1\r\n"
    rb"(?:[A-Za-z0-9!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*\r\n)*\r\n"
)
LONGEST: Final = 18  # digits
_NOT_PLAIN: Final = frozenset({"TRANSFER_ENCODING", "EXPECT"})  # they change what comes next


@dataclass(frozen=True, slots=True)
class Head:
    """Method, raw and decoded target, and the fields by their names in CGI, as waitress does it."""

    method: str
    target: str
    path: str
    query: str
    fields: dict[str, str]
    content_length: int


def plain_head(raw: bytes) -> Head | None:
    """The head *raw*, its empty line included; None if it is not plain."""
    if _PLAIN.fullmatch(raw) is None:
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key, value = name.upper().replace("-", "_"), value.strip(" \t")
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    length = fields.get("CONTENT_LENGTH", "0")
    if not length.isdecimal() or fields.keys() & _NOT_PLAIN:
        return None
    path, _, query = target.partition("?")
    if "%" in path:
        path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    size = int(length) if len(length) <= LONGEST else sys.maxsize  # int() refuses very long ones
    return Head(method, target, path, query, fields, size)
