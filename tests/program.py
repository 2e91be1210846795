"""The program under test, as a command."""

import sys

COMMAND = [sys.executable, "-m", "smsquest_cli"]
