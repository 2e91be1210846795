"""The ngrok agent on this computer: which file it is, its version, and how it is fetched once."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from smsquest_cli.problems import TunnelError, reason_of
from smsquest_cli.tunnel.refusals import is_clock_trouble, now_here

if TYPE_CHECKING:
    from collections.abc import Callable

OLDEST: Final = (3, 0)  # pyngrok drives no older one
OLDEST_WITH_ENDPOINTS: Final = (3, 30)  # before: no /api/endpoints, and pyngrok waits for ever
SMALLEST: Final = 1 << 20  # the agent has tens of megabytes; a smaller file is a wrapper
NAME: Final = "ngrok.exe" if sys.platform == "win32" else "ngrok"
DOWNLOAD_SECONDS: Final = 30.0  # for each read, not for the whole
_VERSION: Final = re.compile(r"version v?(\d+)\.(\d+)\S*")
_BY_PYNGROK: Final = b"pyngrok.ngrok"  # imported by the ngrok command that pyngrok brings


@dataclass(frozen=True, slots=True)
class Binary:
    """An agent that can be run, and the version that it reports itself."""

    path: str
    version: str

    @property
    def has_endpoints(self) -> bool:
        """Whether its local API has ``/api/endpoints``; an unknown version counts as old."""
        return (_numbers(self.version) or OLDEST) >= OLDEST_WITH_ENDPOINTS


def find(given: str | None, *, search_path: str | None, folder: Path) -> str | None:
    """The path of the agent: *given*, else the first on *search_path*, else the one in *folder*.

    A ``ngrok`` that is only a wrapper (pyngrok's and npm's, which lie on the path of a virtual
    environment) is passed over: ending it would leave the agent running. Raises `TunnelError` (T16)
    if *given* is not an agent.
    """
    if given:
        path = shutil.which(given, path=search_path) or os.path.abspath(os.path.expanduser(given))  # noqa: PTH100, PTH111 - strings, as pyngrok wants them
        if not os.path.isfile(path):  # noqa: PTH113
            raise TunnelError("T16", path=given, reason="there is no such file")
        if _BY_PYNGROK in _beginning(path):
            raise TunnelError("T16", path=given, reason="that is pyngrok's command, not the agent")
        return path
    for place in (search_path or "").split(os.pathsep):
        path = os.path.join(place, NAME)  # noqa: PTH118
        if place and os.access(path, os.X_OK) and _is_agent(path):
            return os.path.abspath(path)  # noqa: PTH100
    downloaded = folder / NAME
    return str(downloaded) if downloaded.is_file() else None


def examine(path: str, *, timeout: float) -> Binary:
    """Ask the agent at *path* for its version; raises `TunnelError`: T3, T10 or T16."""
    try:
        done = subprocess.run(  # noqa: S603
            [path, "version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        reason = f"no answer to `ngrok version` in {timeout:.0f} s"
        raise TunnelError("T16", path=path, reason=reason) from err
    except FileNotFoundError as err:
        raise TunnelError("T10", path=path) from err
    except OSError as err:
        raise TunnelError("T16", path=path, reason=reason_of(err)) from err
    if done.returncode == -getattr(signal, "SIGKILL", 9):
        raise TunnelError("T10", path=path)
    match = _VERSION.search(done.stdout)
    if done.returncode != 0 or match is None:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[-1][:120] if said else f"`ngrok version` ended with {done.returncode}"
        raise TunnelError("T16", path=path, reason=reason)
    version = match[0].removeprefix("version ")
    if (_numbers(version) or OLDEST) < OLDEST:
        raise TunnelError("T3", version=version, reason="3.0 or later is needed")
    return Binary(path, version)


def download(folder: Path, *, say: Callable[[str], None]) -> str:
    """Fetch the agent into *folder* and return its path; raises `TunnelError` (T9, T13).

    pyngrok knows the address. Its own installer writes to standard output and to a fixed name in
    the shared temporary folder, where others could exchange it; and half a file may remain.
    """
    import tarfile
    import zipfile
    from urllib.request import urlopen

    from pyngrok import installer
    from pyngrok.exception import PyngrokError

    target = folder / NAME
    try:
        url = installer.get_ngrok_cdn_url("3")
        say(f"downloading ngrok once, to {target} …")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".ngrok-") as scratch:
            archive = Path(scratch, url.rpartition("/")[2])
            with urlopen(url, timeout=DOWNLOAD_SECONDS) as answer, archive.open("wb") as file:  # noqa: S310 - pyngrok's constant
                shutil.copyfileobj(answer, file)
            unpacked = Path(scratch, NAME)
            _unpack(archive, unpacked)
            unpacked.chmod(0o700)
            unpacked.replace(target)
    except (PyngrokError, OSError, KeyError, EOFError, tarfile.TarError, zipfile.BadZipFile) as err:
        reason = getattr(err, "reason", None) or err
        known = getattr(reason, "verify_message", None) or getattr(reason, "strerror", None)
        words = known or str(reason) or type(err).__name__
        if is_clock_trouble(words):
            raise TunnelError("T13", date=now_here()) from err
        raise TunnelError("T9", reason=" ".join(words.split())) from err
    return str(target)


def _unpack(archive: Path, target: Path) -> None:
    """Write the one file that is wanted from *archive* to *target*, whatever else it holds."""
    import tarfile
    import zipfile

    with target.open("wb") as out:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as zipped, zipped.open(NAME) as member:
                shutil.copyfileobj(member, out)
            return
        with tarfile.open(archive, "r:gz") as tarred:
            content: BinaryIO | None = tarred.extractfile(NAME)  # type: ignore[assignment]
            if content is None:
                raise KeyError(f"no file {NAME} in {archive.name}")
            shutil.copyfileobj(content, out)


def _numbers(version: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version.removeprefix("v"))
    return (int(match[1]), int(match[2])) if match else None


def _is_agent(path: str) -> bool:
    return os.path.getsize(path) >= SMALLEST and not _beginning(path).startswith(b"#!")  # noqa: PTH202


def _beginning(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(4096)
