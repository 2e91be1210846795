"""Receive Twilio SMS on your own machine: webhook, tunnel, number and live table in one command."""

__version__ = "0.1.0"
