"""Finding the settings: option > environment > ``.env`` > twilio-cli profile.

An empty value counts as unset. Credentials are taken together: a token or key counts only if its
own source names no other account than the one that is used.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smsquest_cli.config.settings import LOOPBACK, Settings
from smsquest_cli.config.sources import (
    KEY,
    KEY_SECRET,
    SID,
    TOKEN,
    VARIABLES,
    Source,
    about,
    found_env_file,
    named_env_file,
    read_env_file,
    twilio_cli_profiles,
)
from smsquest_cli.credentials import Secret
from smsquest_cli.problems import UsageError
from smsquest_cli.webhook_urls import shown, web_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Twilio's regional hosts have an edge in their names; Twilio has switched off those without.
EDGES: Final[Mapping[str, str]] = {
    "us1": "ashburn",
    "ie1": "dublin",
    "au1": "sydney",
    "br1": "sao-paulo",
    "de1": "frankfurt",
    "jp1": "tokyo",
    "sg1": "singapore",
    "us2": "umatilla",
}
_LABEL: Final = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
OPTIONS: Final[Mapping[str, str]] = {
    "number": "--number",
    "ngrok_domain": "--domain",
    "store": "--store",
}


def load_settings(
    environment: Mapping[str, str],
    *,
    cwd: Path,
    env_file: Path | None = None,
    profile: str | None = None,
    overrides: Mapping[str, str | None] | None = None,
) -> Settings:
    """The settings for a call in the folder *cwd*; *overrides* are options, named as in `Settings`.

    A *profile* that is named goes before the environment; the active one counts only if the rest
    is not enough to log in. Raises `CredentialsError` (C12: no such profile), `UsageError`
    (U6). Nothing is written; the state folder is made.
    """
    given = {VARIABLES[name]: value for name, value in (overrides or {}).items() if value}
    options = Source(
        "option",
        # Typer fills some options from the environment: those count as coming from there.
        {name: value for name, value in given.items() if value != environment.get(name)},
    )
    shell = Source("environment", environment)
    dotenv = (
        named_env_file(cwd / env_file, environment=environment)
        if env_file
        else found_env_file(cwd, environment=environment)
    )
    profiles = twilio_cli_profiles(environment)
    named = profiles.source(profile) if profile else None
    plain = [source for source in (options, named, shell, dotenv) if source]
    active = None if named else profiles.active_source()
    search = _Search(plain)
    if active and not search.is_enough:
        search = _Search([*plain, active])
    home = _home_folder(search.find("home"), cwd)
    region, edge = _pair(search.find("region"), search.find("edge"))
    return Settings(
        home=home,
        store=search.find("store") or str(home / "events.sqlite3"),
        account_sid=search.account,
        auth_token=_secret(search.find("auth_token")),
        api_key=search.find("api_key"),
        api_secret=_secret(search.find("api_secret")),
        region=region,
        edge=edge,
        number=search.find("number"),
        ngrok_authtoken=_secret(search.find("ngrok_authtoken")),
        ngrok_domain=search.find("ngrok_domain"),
        ngrok_path=_program(search, cwd, distrusted=None if env_file else dotenv),
        webhook_secret=_secret(search.find("webhook_secret")),
        twilio_url=_origin(search, distrusted=None if env_file else dotenv),
        profile=profile or (profiles.active if active in search.order else None),
        sources=search.found,
        empty=search.empty(),
        others=() if named else _other_accounts(search, active, profiles.active),
        unused=search.unused(),
    )


class _Search:
    """Looks for settings in the sources of *order*, and remembers where each was found."""

    def __init__(self, order: Sequence[Source]) -> None:
        self.order = order
        self.found: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self.account = self.find("account_sid")
        # Twilio would only refuse credentials of another account.
        ours = [source for source in order if source.account in (None, self.account)]
        key_source = next((source for source in ours if source.get(KEY)), None)
        pair = [source for source in ours if source is key_source or not source.get(KEY)]
        self._places = {TOKEN: ours, KEY: ours, KEY_SECRET: pair}

    @property
    def is_enough(self) -> bool:
        """Whether the sources hold enough to log in to Twilio."""
        by_key = bool(self.find("api_key") and self.find("api_secret"))
        return bool(self.account and (by_key or self.find("auth_token")))

    def find(self, name: str) -> str | None:
        """The value of the setting *name*, or None."""
        variable = VARIABLES[name]
        places = self.order if variable == SID else self._places.get(variable, self.order)
        for source in places:
            if (value := source.get(variable)) is not None:
                self.found[name] = (
                    OPTIONS[name] if source.name == "option" else source.where(variable)
                )
                self._values[variable] = value
                return value
        return None

    def empty(self) -> frozenset[str]:
        """The variables that are set but empty, and not set anywhere else."""
        return frozenset(
            variable
            for source in self.order
            for variable in VARIABLES.values()
            if variable in source.values
            and source.get(variable) is None
            and variable not in self._values
        )

    def unused(self) -> dict[str, str]:
        """Where a credential has another value, which is not used, by its variable."""
        return {
            variable: source.where(variable)
            for source in reversed(self.order)
            for variable in (SID, TOKEN, KEY, KEY_SECRET)
            if (value := source.get(variable)) and value != self._values.get(variable)
        }


def _other_accounts(
    search: _Search, active: Source | None, profile: str | None
) -> tuple[tuple[str, str], ...]:
    """The accounts that other sources name, each with how to choose it."""
    others = [
        (about(source), f"to use it, unset {SID}")
        for source in search.order
        if source.account not in (None, search.account)
    ]
    if active and search.account and active.account not in (None, search.account):
        others = [one for one in others if one[0] != about(active)]
        others.append((about(active), f"choose it with --profile {profile}"))
    return tuple(others)


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text is not None else None


def _pair(region: str | None, edge: str | None) -> tuple[str | None, str | None]:
    """Region and edge, both or neither; raises `UsageError` for a region without a known edge.

    They become a part of the host that gets the credentials, so nothing but a name will do.
    """
    for variable, value in (("TWILIO_REGION", region), ("TWILIO_EDGE", edge)):
        if value is not None and not _LABEL.fullmatch(value):
            raise UsageError(
                "U6", option=variable, value=value, expected="a name such as ie1, dublin"
            )
    if region is None:
        return (None, None) if edge is None else ("us1", edge)
    if edge is None and region not in EDGES:
        raise UsageError(
            "U6", option="TWILIO_REGION", value=region, expected="TWILIO_EDGE to be set beside it"
        )
    return region, edge or EDGES[region]


def state_folder(
    environment: Mapping[str, str], *, cwd: Path, env_file: Path | None = None
) -> Path:
    """The state folder as `load_settings` finds it, for callers that need no other setting."""
    variable = VARIABLES["home"]
    given = Source("environment", environment).get(variable)
    file = cwd / (env_file or ".env")
    if given is None and file.is_file():  # looked at first: reading one takes an import
        with suppress(OSError):
            given = read_env_file(file, name="", environment=environment).get(variable)
    return _home_folder(given, cwd)


def _home_folder(given: str | None, cwd: Path) -> Path:
    """The state folder, for this user only if it was missing or empty.

    One that holds anything may be somebody's: its files of ours are private all the same.
    """
    if given:
        home = cwd / Path(given).expanduser()
    else:
        from platformdirs import user_state_path

        home = user_state_path("smsquest", appauthor=False)
    with suppress(OSError):  # whoever needs it will report that
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        if not any(home.iterdir()):
            home.chmod(0o700)
    return home


def _program(search: _Search, cwd: Path, *, distrusted: Source | None) -> str | None:
    """The ngrok agent to run; raises `UsageError` (U6) for one that came with the folder.

    A ``.env`` that merely lies in the folder (*distrusted*) must not make us run its neighbours.
    """
    path = search.find("ngrok_path")
    variable = VARIABLES["ngrok_path"]
    if path and distrusted and search.found["ngrok_path"] == distrusted.where(variable):
        file = (cwd / Path(path).expanduser()).resolve()
        is_name = file == cwd.resolve() / path and not file.exists()  # looked for on the PATH
        if file.is_relative_to(cwd.resolve()) and not is_name:
            expected = "a program outside this folder; otherwise set it in the environment"
            raise UsageError("U6", option=variable, value=path, expected=expected)
    return path


def _origin(search: _Search, *, distrusted: Source | None) -> str | None:
    """The checked origin that requests go to instead of Twilio; raises `UsageError` (U6).

    A ``.env`` that merely lies in the folder (*distrusted*: it may have come with somebody's
    repository) must not send our credentials to another computer.
    """
    url = search.find("twilio_url")
    if url is None:
        return None
    variable = VARIABLES["twilio_url"]
    expected = "an origin such as http://127.0.0.1:4010"
    parts = web_parts(url.strip())
    if parts and (parts.path.strip("/") or parts.query or parts.fragment or parts.username):
        parts = None
    if parts and distrusted and search.found["twilio_url"] == distrusted.where(variable):
        if parts.hostname not in LOOPBACK:
            parts = None
        expected = "an origin on this computer; any other belongs into the environment"
    if parts is None:
        raise UsageError("U6", option=variable, value=shown(url), expected=expected)
    return f"{parts.scheme}://{parts.netloc}"
