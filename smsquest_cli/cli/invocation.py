"""What every command is given: the `Invocation`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from smsquest_cli.problems import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smsquest_cli.config import Settings


@dataclass(slots=True)
class Invocation:
    """One call of the command line: the root options, and how to show its errors."""

    profile: str | None = None
    env_file: Path | None = None
    debug: bool = False
    output: str | None = None  # set by a command as soon as it knows
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def settings(self, **options: str | None) -> Settings:
        """The settings of this call; *options* given on the command line win."""
        from smsquest_cli.config import load_settings

        return load_settings(
            self.environment,
            cwd=working_folder(),
            env_file=self.env_file,
            profile=self.profile,
            overrides=options,
        )

    def check_profile(self) -> None:
        """Raise `CredentialsError` (C12) if the named profile does not exist.

        Only for a command that needs no `settings`, which check it too.
        """
        if self.profile is not None:
            from smsquest_cli.config import twilio_cli_profiles

            twilio_cli_profiles(self.environment).source(self.profile)


def working_folder() -> Path:
    """The folder in which the command was called; raises `LocalError` (L7) if it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError as err:
        raise LocalError("L7") from err
