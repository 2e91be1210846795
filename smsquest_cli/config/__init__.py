"""The settings of one call, and where each was found."""

from __future__ import annotations

from smsquest_cli.config.loading import load_settings, state_folder
from smsquest_cli.config.settings import Settings
from smsquest_cli.credentials import Secret, masked

__all__ = ["Secret", "Settings", "load_settings", "masked", "state_folder"]
