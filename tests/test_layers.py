"""The house holds: each library has its rooms, and start-up stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "smsquest_cli"

ROOMS = {
    "twilio": {"twilio_api"},
    "pyngrok": {"tunnel"},
    "flask": {"webhooks", "sandbox"},
    "rich": {"console", "views"},
    "typer": {"cli"},
    "waitress": {"server"},
    "sqlite3": {"eventlog"},
    "click": set(),  # Typer vendors its own; an import of the other one misbehaves
}


@cache
def rooms_by_library() -> dict[str, set[str]]:
    """The modules and folders of the package that import a library, at the top or inside."""
    rooms = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                rooms[name.split(".")[0]].add(room)
    return rooms


@pytest.mark.parametrize(("library", "rooms"), ROOMS.items())
def test_a_library_is_imported_in_its_rooms_only(library, rooms):
    """Nothing but the module that adapts a library knows it."""
    assert rooms_by_library()[library] <= rooms


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


@pytest.mark.parametrize(
    "arguments",
    [("log", "-o", "json", "-n", "1"), ("explain", "30007"), ("serve", "--port", "8767", "-h")],
)
def test_a_usual_call_does_not_load_pydantic(arguments, monkeypatch, tmp_path):
    """Typer would, and it takes as long as all the rest of a short command."""
    monkeypatch.setenv("SMSQUEST_HOME", str(tmp_path))

    assert "pydantic" not in modules_loaded_by(*arguments)


def test_a_missing_credential_is_found_before_the_sdk_is_imported(monkeypatch, tmp_path):
    """E1: no credentials is said at once, without Twilio's SDK, Flask or pyngrok."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SMSQUEST_HOME", str(tmp_path / "state"))
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET"):
        monkeypatch.delenv(name, raising=False)

    assert not modules_loaded_by("serve") & {"twilio", "flask", "pyngrok"}
