"""Which process is which: a pid alone may be taken by another program after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def identity(pid: int) -> str | None:
    """Something that no other process with this *pid* ever has (its start), or None if it is gone.

    Linux: the start in clock ticks since boot, and the boot. Elsewhere: what ``ps`` says, in a
    time zone that stays. A process on another computer has another one.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:
            return None
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else f"{boot}:{fields[18]}"
    if sys.platform == "win32":  # pragma: no cover - no such machine in CI
        return _windows_start(pid)
    shown = subprocess.run(  # noqa: S603  # pragma: no cover - macOS and BSD
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC0"},
    )
    return shown.stdout.strip() or None  # pragma: no cover


def is_running(pid: int, known_identity: str | None) -> bool:
    """Whether the process that had *pid* and *known_identity* is still there."""
    return known_identity is not None and identity(pid) == known_identity


def own_identity() -> str | None:
    """The `identity` of this process."""
    return identity(os.getpid())


if sys.platform == "win32":  # pragma: no cover

    def _windows_start(pid: int) -> str | None:
        import ctypes
        from ctypes import wintypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        query_limited_information = 0x1000
        handle = kernel.OpenProcess(query_limited_information, False, pid)
        if not handle:
            return None
        try:
            times = [wintypes.FILETIME() for _ in range(4)]
            if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
                return None
            return f"{times[0].dwHighDateTime}:{times[0].dwLowDateTime}"
        finally:
            kernel.CloseHandle(handle)
