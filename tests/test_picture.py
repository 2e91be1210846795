"""The picture in the README is the real table."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"


def test_the_picture_is_what_the_table_looks_like():
    """Whoever changes the table draws the picture anew: python docs/pictures/generate.py."""
    spec = importlib.util.spec_from_file_location("picture", PICTURES / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert (PICTURES / "table.svg").read_text("utf-8") == generate.picture()
