"""The pages of docs/reference that the program itself knows are what it says now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from smsquest_cli.problems import catalogue

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


@pytest.fixture
def generate():
    """The script that writes them."""
    spec = importlib.util.spec_from_file_location("generate", REFERENCE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_help_says(generate):
    """``commands.md`` is made by the script beside it, and up to date."""
    assert (REFERENCE / "commands.md").read_text("utf-8") == generate.commands_page()


def test_the_page_of_problems_is_what_the_catalogue_says(generate):
    """Each of them stands in ``problems.md``, under the heading of its family."""
    written = generate.problems_page()

    assert (REFERENCE / "problems.md").read_text("utf-8") == written
    assert all(f"### {id_} · " in written for id_ in catalogue())
    assert {id_[0] for id_ in catalogue()} == set(generate.FAMILIES)
