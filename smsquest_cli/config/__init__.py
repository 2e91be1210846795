"""The settings of one call, and where each was found."""

from __future__ import annotations

from smsquest_cli.config.loading import load_settings, state_folder
from smsquest_cli.config.settings import Settings
from smsquest_cli.config.sources import twilio_cli_profiles

__all__ = ["Settings", "load_settings", "state_folder", "twilio_cli_profiles"]
