"""The program under test, as a command."""

import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "smsquest_cli"]
IMPATIENT = [sys.executable, str(Path(__file__).parent / "impatient.py")]  # its waits are short
