"""The house holds: each library has its rooms, and start-up stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "smsquest_cli"

ROOMS = {
    "twilio": {"twilio_api", "sandbox"},
    "pyngrok": {"tunnel"},
    "flask": {"webhooks", "sandbox"},
    "rich": {"console", "views"},
    "typer": {"cli"},
    "waitress": {"server"},
    "sqlite3": {"eventlog"},
    "click": set(),  # Typer vendors its own; an import of the other one misbehaves
}


def rooms_of(library: str) -> set[str]:
    """The modules and folders of the package that import *library*, at the top or inside."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            if any(name.split(".")[0] == library for name in names):
                found.add(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    return found


@pytest.mark.parametrize(("library", "rooms"), ROOMS.items())
def test_a_library_is_imported_in_its_rooms_only(library, rooms):
    """Nothing but the module that adapts a library knows it."""
    assert rooms_of(library) <= rooms


def modules_loaded_by(*arguments: str) -> set[str]:
    """The top-level names of what a real ``smsquest *arguments*`` has imported when it ends."""
    program = (
        "import sys, atexit\n"
        f"sys.argv = ['smsquest', *{list(arguments)!r}]\n"
        "atexit.register(lambda: print(*sorted({m.split('.')[0] for m in sys.modules}),"
        " file=sys.stderr))\n"
        "from smsquest_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        # A measurement of coverage would load modules of its own.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
    )
    return set(done.stderr.splitlines()[-1].split())


def test_the_version_is_answered_before_typer_is_imported():
    """``--version`` costs hardly more than Python itself."""
    assert not modules_loaded_by("--version") & {"typer", "rich", "flask", "twilio", "pyngrok"}


def test_help_loads_none_of_the_heavy_libraries():
    """``--help`` is answered without the libraries that a run needs."""
    heavy = {"rich", "flask", "twilio", "pyngrok", "waitress", "requests", "sqlite3", "pydantic"}

    assert not modules_loaded_by("--help") & heavy


def test_a_missing_credential_is_found_before_the_sdk_is_imported(monkeypatch, tmp_path):
    """E1: no credentials is said at once, without Twilio's SDK, Flask or pyngrok."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SMSQUEST_HOME", str(tmp_path / "state"))
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET"):
        monkeypatch.delenv(name, raising=False)

    assert not modules_loaded_by("serve") & {"twilio", "flask", "pyngrok"}
