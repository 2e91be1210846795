"""Files of ours: for this user only, whole or not at all, and on the disk if that matters."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import LocalError, reason_of

if TYPE_CHECKING:
    from pathlib import Path

NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)  # Windows has none


def write_private(path: Path, text: str, *, durable: bool = False) -> None:
    """Write *text* to *path* for this user only; readers see all of it or the former text.

    If *durable*, that holds even after a power cut. Raises `OSError`.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_LINK, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_state(path: Path, text: str, *, option: str = "SMSQUEST_HOME") -> None:
    """As `write_private`, but makes the folder; raises `LocalError` (L6), naming the *option*."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, text)
    except OSError as err:
        raise LocalError("L6", path=path, reason=reason_of(err), option=option) from err


def sync_folder(folder: Path) -> None:
    """Make the list of files in *folder* durable, if the system has a way to do so."""
    if sys.platform == "win32":  # pragma: no cover - there is no way
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_content(handle: int) -> None:
    """Wait until what was written to the file behind *handle* is on the disk; raises `OSError`."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(handle)
    else:  # pragma: no cover - macOS and Windows
        os.fsync(handle)
