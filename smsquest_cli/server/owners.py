"""Who has a port: the name and pid of the process, as far as this user may know."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

UNKNOWN: Final = "another program"
LOOK_SECONDS: Final = 2.0

_LISTEN: Final = "0A"
_LOCAL: Final = 1  # columns of /proc/net/tcp
_STATE: Final = 3
_INODE: Final = 9


def owner_of(port: int) -> str:
    """Who listens on the local TCP *port*, such as ``python3 pid 812``."""
    pid = _pid_in_proc(port) if sys.platform == "linux" else _pid_by_lsof(port)
    return UNKNOWN if pid is None else _name(pid)


def _pid_in_proc(port: int) -> int | None:
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:  # another user's, or it has just ended
            continue
    return None


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[_STATE] == _LISTEN and columns[_LOCAL].endswith(f":{port:04X}"):
                yield columns[_INODE]


def _pid_by_lsof(port: int) -> int | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    try:
        found = subprocess.run(  # noqa: S603
            [lsof, "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LOOK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    pids = found.stdout.split()
    return int(pids[0]) if pids else None


def _name(pid: int) -> str:
    """The program that runs as *pid*; one of ours by its command."""
    words = _command(pid)
    if not words:
        return f"pid {pid}"
    name = Path(words[0]).name
    if "serve" in words and any("smsquest" in word for word in words[:3]):
        name = "smsquest serve"
    return f"{name} pid {pid}"


def _command(pid: int) -> list[str]:
    try:
        if sys.platform == "linux":
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            return [word.decode("utf-8", "replace") for word in line.split(b"\0") if word]
        shown = subprocess.run(  # noqa: S603
            ["/bin/ps", "-o", "args=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
            timeout=LOOK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return shown.stdout.split()
