"""Where settings come from: the environment, a ``.env`` file, a profile of the Twilio CLI."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.credentials import masked
from smsquest_cli.problems import CredentialsError, UsageError, reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SID: Final = "TWILIO_ACCOUNT_SID"
TOKEN: Final = "TWILIO_AUTH_TOKEN"  # noqa: S105 - the name of a variable
KEY: Final = "TWILIO_API_KEY"
KEY_SECRET: Final = "TWILIO_API_SECRET"  # noqa: S105 - likewise
VARIABLES: Final[Mapping[str, str]] = {
    "account_sid": SID,
    "auth_token": TOKEN,
    "api_key": KEY,
    "api_secret": KEY_SECRET,
    "region": "TWILIO_REGION",
    "edge": "TWILIO_EDGE",
    "number": "TWILIO_PHONE_NUMBER",
    "ngrok_authtoken": "NGROK_AUTHTOKEN",
    "ngrok_domain": "NGROK_DOMAIN",
    "ngrok_path": "PYNGROK_NGROK_PATH",
    "webhook_secret": "SMSQUEST_WEBHOOK_SECRET",
    "twilio_url": "SMSQUEST_TWILIO_URL",
    "home": "SMSQUEST_HOME",
    "store": "SMSQUEST_STORE",
}
_PROFILE_KEYS: Final = {
    SID: "accountSid",
    KEY: "apiKey",
    KEY_SECRET: "apiSecret",
    "TWILIO_REGION": "region",
    "TWILIO_EDGE": "edge",
}
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A place that settings may come from, and its values by the variables' names."""

    name: str
    values: Mapping[str, str] = field(repr=False)
    lines: Mapping[str, int] = field(default_factory=dict)

    def get(self, variable: str) -> str | None:
        """The value of *variable*, None if there is none or only blanks."""
        value = self.values.get(variable)
        return value if value and value.strip() else None

    @property
    def account(self) -> str | None:
        """The account that this source is about, if it says so."""
        return self.get(SID)

    def where(self, variable: str) -> str:
        """The place of *variable* in words: ``.env line 2``."""
        line = self.lines.get(variable)
        return self.name if line is None else f"{self.name} line {line}"


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of the Twilio CLI in *path*; none if that is missing or odd."""

    path: Path
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    active: str | None = None
    fault: str | None = None  # why the file cannot be read
    old: tuple[str, ...] = ()  # from before 2022: their secrets are in the system's keychain

    def source(self, name: str) -> Source:
        """The profile *name*; raises `CredentialsError` (C12) if there is none."""
        if name not in self.profiles:
            raise CredentialsError("C12", profile=name, reason=self._why_not(name))
        profile = self.profiles[name]
        values = {
            variable: value
            for variable, key in _PROFILE_KEYS.items()
            if isinstance(value := profile.get(key), str)
        }
        return Source(f'twilio-cli profile "{name}"', values)

    def active_source(self) -> Source | None:
        """The active profile, or None."""
        return self.source(self.active) if self.active and self.active in self.profiles else None

    def _why_not(self, name: str) -> str:
        if name in self.old:
            return "made before 2022, its secret is not in the file: twilio profiles:create"
        if self.profiles:
            return f"there are: {', '.join(sorted(self.profiles))}"
        if self.fault is not None:
            return f"{self.path} cannot be read: {self.fault}"
        return f"{self.path} has none"


def read_env_file(path: Path, *, name: str, environment: Mapping[str, str]) -> Source:
    """The settings in the ``.env`` file at *path*; raises `OSError`.

    ``${NAME}`` in a value is replaced as python-dotenv does, from *environment* first.
    """
    return _parsed(_decoded(path.read_bytes()), name=name, environment=environment)


def _parsed(content: str, *, name: str, environment: Mapping[str, str]) -> Source:
    from io import StringIO

    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for binding in parse_stream(StringIO(content)):
        if binding.key is None or binding.value is None:
            continue
        known = {**values, **environment}
        values[binding.key] = "".join(
            atom.resolve(known) for atom in parse_variables(binding.value)
        )
        text = binding.original.string
        blank = text[: len(text) - len(text.lstrip())]
        lines[binding.key] = binding.original.line + blank.count("\n")
    return Source(name, values, lines)


def named_env_file(path: Path, *, environment: Mapping[str, str]) -> Source:
    """The file that the user named; raises `UsageError` (U6) if it cannot be read."""
    try:
        content = _decoded(path.read_bytes())  # once: it may be a pipe
    except OSError as err:
        reason = reason_of(err)
        raise UsageError(
            "U6", option="--env-file", value=path, expected=f"a file that can be read ({reason})"
        ) from err
    if "\0" in content:
        expected = "a text of lines such as TWILIO_PHONE_NUMBER=+12025550102"
        raise UsageError("U6", option="--env-file", value=path, expected=expected)
    return _parsed(content, name=str(path), environment=environment)


def found_env_file(folder: Path, *, environment: Mapping[str, str]) -> Source:
    """The ``.env`` in *folder*; without settings if there is no such file (it may be a folder)."""
    path = folder / ".env"
    try:
        return read_env_file(path, name=".env", environment=environment)
    except OSError:
        return Source(".env", {})


def twilio_cli_profiles(environment: Mapping[str, str]) -> Profiles:
    """The profiles that this user's Twilio CLI knows; its file is only read."""
    folder = environment.get("TWILIO_CONFIG_DIR")
    home = environment.get("HOME") or environment.get("USERPROFILE")
    path = Path(folder or (Path(home) if home else Path.home()) / ".twilio-cli") / "config.json"
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return Profiles(path)
    except OSError as err:
        return Profiles(path, fault=reason_of(err))
    except ValueError as err:
        return Profiles(path, fault=f"no JSON: {err}")
    if not isinstance(content, dict):
        return Profiles(path, fault="no JSON object")
    profiles, projects = content.get("profiles"), content.get("projects")
    active = content.get("activeProject")
    return Profiles(
        path,
        {name: made for name, made in profiles.items() if isinstance(made, dict)}
        if isinstance(profiles, dict)
        else {},
        active if isinstance(active, str) else None,
        old=tuple(str(one.get("id")) for one in projects if isinstance(one, dict))
        if isinstance(projects, list)
        else (),
    )


def about(source: Source) -> str:
    """*source* and its account, as a note names them: ``.env line 1 (AC88…01)``."""
    return f"{source.where(SID)} ({masked(source.account or '')})"


def _decoded(content: bytes) -> str:
    """*content* as text; PowerShell's ``>`` writes UTF-16."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    return content.decode("utf-8", "replace")
