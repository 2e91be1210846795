"""Where settings come from, which source wins, and what is said about bad ones."""

from __future__ import annotations

import json
import pickle
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.config import load_settings, state_folder
from smsquest_cli.credentials import Secret, masked, misshapen
from smsquest_cli.problems import CredentialsError, SmsquestError, UsageError

SID = "AC" + "1" * 31 + "f"
OTHER_SID = "AC" + "8" * 32
TOKEN = "a" * 32
OTHER_TOKEN = "b" * 32
KEY = "SK" + "2" * 32
KEY_SECRET = "kP" + "3" * 30
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
LOGIN = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN}
BY_KEY = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": KEY_SECRET}


@pytest.fixture
def load(tmp_path):
    """Load the settings in a folder of the test, for a user without anything."""

    def load(environment=(), dotenv=None, **options):
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, "utf-8")
        base = {"HOME": str(tmp_path), "SMSQUEST_HOME": str(tmp_path / "state")}
        return load_settings({**base, **dict(environment)}, cwd=tmp_path, **options)

    return load


@pytest.fixture
def profiles(tmp_path):
    """Give the user profiles of the Twilio CLI."""

    def write(active="work", **profiles):
        folder = tmp_path / ".twilio-cli"
        folder.mkdir(exist_ok=True)
        content = {"projects": [{"id": "ancient"}], "profiles": profiles, "activeProject": active}
        (folder / "config.json").write_text(json.dumps(content))

    return write


WORK = {"accountSid": OTHER_SID, "apiKey": KEY, "apiSecret": KEY_SECRET}


def complaint(settings):
    """The problem that the credentials have."""
    with pytest.raises(CredentialsError) as caught:
        settings.rest_credentials()
    return caught.value


# Order


def test_the_environment_wins_over_the_env_file(load):
    """What the shell exports is used; the file fills in the rest, and each source is known."""
    settings = load(
        {"TWILIO_PHONE_NUMBER": "+12025550101"},
        f"# mine\n\nTWILIO_PHONE_NUMBER=+12025550102\nTWILIO_ACCOUNT_SID={SID}\n"
        f"export TWILIO_AUTH_TOKEN='{TOKEN}'\n",
    )

    assert settings.number == "+12025550101"
    assert settings.source_of("number") == "environment"
    assert settings.source_of("account_sid") == ".env line 4"
    assert settings.rest_credentials().source == ".env line 5"
    assert settings.source_of("region") == "default"


def test_an_option_wins_over_the_environment(load):
    """An option is named as it is typed; one that Typer read from a variable is not an option."""
    environment = {"TWILIO_PHONE_NUMBER": "+12025550101", "NGROK_DOMAIN": "a.ngrok.app"}

    settings = load(
        environment,
        overrides={"number": "+12025550109", "ngrok_domain": "a.ngrok.app", "store": None},
    )

    assert (settings.number, settings.source_of("number")) == ("+12025550109", "--number")
    assert settings.source_of("ngrok_domain") == "environment"


def test_an_empty_value_counts_as_unset(load):
    """An empty variable hides nothing that stands further down."""
    settings = load(
        {"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": "  "},
        f"TWILIO_ACCOUNT_SID={SID}\nTWILIO_AUTH_TOKEN={TOKEN}\n",
    )

    assert settings.rest_credentials().account_sid == SID
    assert settings.can_verify


def test_the_profile_of_the_twilio_cli_is_the_last_resort(load, profiles):
    """Without anything else its active profile logs in, by API key."""
    profiles(work=WORK, home={"accountSid": SID, "apiKey": KEY, "apiSecret": "x"})

    login = load().rest_credentials()

    assert (login.account_sid, login.username, login.by_key) == (OTHER_SID, KEY, True)
    assert login.password.reveal() == KEY_SECRET
    assert login.source == 'twilio-cli profile "work"'
    assert load().profile == "work"


def test_a_profile_that_is_named_wins_over_the_environment(load, profiles):
    """`--profile work` is an option: whatever else is set belongs to another account."""
    profiles(active=None, work=WORK)

    settings = load(LOGIN, profile="work")

    assert settings.rest_credentials().account_sid == OTHER_SID
    assert settings.auth_token is None
    assert [note.id for note in settings.notes(at=NOW)] == ["C5"]


def test_the_auth_token_of_the_environment_completes_a_profile(load, profiles):
    """A profile holds no auth token; one that is set beside it checks the signatures."""
    profiles(work=WORK)

    settings = load({"TWILIO_AUTH_TOKEN": TOKEN})

    assert settings.rest_credentials().username == KEY
    assert settings.auth_token == Secret(TOKEN)
    assert settings.notes(at=NOW) == ()


def test_the_twilio_cli_may_keep_its_profiles_elsewhere(load, tmp_path):
    """`TWILIO_CONFIG_DIR` is obeyed."""
    (tmp_path / "config.json").write_text(
        json.dumps({"profiles": {"a": WORK}, "activeProject": "a"})
    )

    assert load({"TWILIO_CONFIG_DIR": str(tmp_path)}).account_sid == OTHER_SID


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"profiles": 3}', '{"profiles": {"work": 3}, "activeProject": "work"}',
     '{"profiles": {"work": {"accountSid": 7}}, "activeProject": "work", "projects": [1]}',
     '{"profiles": {}, "activeProject": ["work"]}'],
)  # fmt: skip
def test_an_odd_file_of_the_twilio_cli_is_no_file(load, tmp_path, content):
    """It is somebody else's file: what cannot be read there does not exist."""
    (tmp_path / ".twilio-cli").mkdir()
    (tmp_path / ".twilio-cli" / "config.json").write_text(content)

    assert complaint(load()).id == "C1"


def test_another_env_file_replaces_the_one_in_the_folder(load, tmp_path):
    """`--env-file` is read instead of `.env`, and named in the sources."""
    other = tmp_path / "other.env"
    other.write_text("TWILIO_PHONE_NUMBER=+12025550105\n")

    settings = load(
        (), "TWILIO_PHONE_NUMBER=+12025550102\nNGROK_DOMAIN=x.ngrok.app", env_file=other
    )

    assert (settings.number, settings.ngrok_domain) == ("+12025550105", None)
    assert settings.source_of("number") == f"{other} line 1"


def test_a_broken_file_of_the_twilio_cli_is_said_to_who_asks_for_a_profile(load, tmp_path):
    """Not that there are no profiles in it."""
    (tmp_path / ".twilio-cli").mkdir()
    (tmp_path / ".twilio-cli" / "config.json").write_text("{bad")

    with pytest.raises(CredentialsError, match="cannot be read: no JSON"):
        load(profile="work")


def test_an_env_file_that_was_named_must_be_text(load, tmp_path):
    """A picture holds no settings, and was not meant."""
    (tmp_path / "x.env").write_bytes(b"\x89PNG\0\0")

    with pytest.raises(UsageError, match="a text of lines") as caught:
        load(env_file=Path("x.env"))

    assert caught.value.id == "U6"


def test_an_env_file_that_was_named_must_be_there(load):
    """A typing error in `--env-file` is said, not passed over."""
    with pytest.raises(UsageError, match="no such file") as caught:
        load(env_file=Path("nowhere.env"))

    assert caught.value.id == "U6"


def test_a_folder_called_env_is_not_an_env_file(load, tmp_path):
    """Some people call their virtual environment `.env`."""
    (tmp_path / ".env").mkdir()

    assert load().number is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_env_file_may_come_from_powershell(load, tmp_path, encoding):
    """UTF-16 and byte order marks are read too."""
    (tmp_path / ".env").write_bytes("TWILIO_PHONE_NUMBER=+12025550102\r\n".encode(encoding))

    assert load().number == "+12025550102"


def test_a_value_of_the_env_file_may_refer_to_another(load):
    """`${NAME}` is replaced as python-dotenv does; lines without a value are passed over."""
    settings = load(
        {"BASE": "shop"}, "JUST_A_NAME\nTLD=example\nNGROK_DOMAIN=${BASE}.${TLD}\n= x\n"
    )

    assert settings.ngrok_domain == "shop.example"


# Credentials belong together


def test_a_token_of_another_account_is_not_mixed_in(load):
    """The shell names one account, the file holds the token of another: that is said."""
    settings = load(
        {"TWILIO_ACCOUNT_SID": SID},
        f"TWILIO_ACCOUNT_SID={OTHER_SID}\nTWILIO_AUTH_TOKEN={OTHER_TOKEN}\n",
    )

    assert settings.auth_token is None
    assert complaint(settings).line == (
        "TWILIO_ACCOUNT_SID is set without TWILIO_AUTH_TOKEN (or TWILIO_API_KEY and "
        "TWILIO_API_SECRET); what .env line 2 has is for another account. Source: environment "
        "(.env line 1 has another: to use that, unset the variable). "
        "Compare with console.twilio.com > Account"
    )


def test_a_secret_stays_with_its_key(load):
    """A key of the shell is not tried with the secret of the file's key."""
    settings = load(
        {"TWILIO_ACCOUNT_SID": SID, "TWILIO_API_KEY": KEY},
        f"TWILIO_API_KEY=SK{'9' * 32}\nTWILIO_API_SECRET=x\n",
    )

    assert settings.api_secret is None
    assert "TWILIO_API_KEY is set without TWILIO_API_SECRET" in complaint(settings).line


def test_another_account_in_the_env_file_is_noted(load):
    """C10: which account is used, and which one is not."""
    settings = load(LOGIN, f"TWILIO_ACCOUNT_SID={OTHER_SID}\nTWILIO_AUTH_TOKEN={OTHER_TOKEN}\n")

    [note] = settings.notes(at=NOW)

    assert (note.id, note.severity) == ("C10", "note")
    assert note.line == (
        "using AC11…1f from environment; .env line 1 (AC88…88) is ignored "
        "(to use it, unset TWILIO_ACCOUNT_SID)"
    )


def test_another_account_in_the_active_profile_is_noted(load, profiles):
    """C10: the environment silently beats the profile in other tools, not here."""
    profiles(work=WORK)

    [note] = load(LOGIN).notes(at=NOW)

    assert note.line == (
        'using AC11…1f from environment; twilio-cli profile "work" (AC88…88) is ignored '
        "(choose it with --profile work)"
    )


def test_an_active_profile_of_another_account_is_noted_once(load, profiles):
    """Also where the profile was looked at because the rest is not enough."""
    profiles(work=WORK)

    settings = load({"TWILIO_ACCOUNT_SID": SID})

    assert [note.id for note in settings.notes(at=NOW)] == ["C10"]
    assert complaint(settings).id == "C2"


def test_the_same_account_twice_is_no_disagreement(load, profiles):
    """Nothing is noted where all sources mean one account."""
    profiles(work={**WORK, "accountSid": SID})

    settings = load(LOGIN, f"TWILIO_ACCOUNT_SID={SID}\n")

    assert settings.notes(at=NOW) == ()
    assert not settings.rest_credentials().by_key


def test_key_and_token_together(load):
    """REST goes by key, signatures by token."""
    settings = load({**BY_KEY, "TWILIO_AUTH_TOKEN": TOKEN})

    assert settings.rest_credentials().username == KEY
    assert settings.auth_token.reveal() == TOKEN
    assert settings.can_verify
    assert settings.notes(at=NOW) == ()


def test_a_key_alone_cannot_check_signatures(load):
    """C5 is a warning with its remedy; a shared key's secret is one."""
    [note] = load(BY_KEY).notes(at=NOW)

    assert (note.id, note.severity) == ("C5", "warning")
    assert not load(BY_KEY).can_verify
    assert load({**BY_KEY, "SMSQUEST_WEBHOOK_SECRET": "s"}).can_verify
    assert load({**BY_KEY, "SMSQUEST_WEBHOOK_SECRET": "s"}).notes(at=NOW) == ()


# What is wrong with them


def test_no_credentials(load):
    """C1 has the way out for people without an account."""
    problem = complaint(load())

    assert (problem.id, problem.exit_code) == ("C1", 3)
    assert "smsquest serve --sandbox" in problem.line


def test_an_empty_token_never_means_accept_everything(load):
    """C11: neither for logging in nor for checking signatures."""
    settings = load({"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": ""})
    by_key = load({**BY_KEY, "TWILIO_AUTH_TOKEN": ""})

    assert complaint(settings).id == "C11"
    with pytest.raises(CredentialsError, match="C11"):
        assert by_key.can_verify
    assert by_key.rest_credentials().by_key


def test_a_token_that_is_too_short(load):
    """E2: what is wrong, where, and where a better one stands; never the token itself."""
    problem = complaint(
        load(
            {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": "0123"}, f"TWILIO_AUTH_TOKEN={TOKEN}\n"
        )
    )

    assert problem.line == (
        "TWILIO_AUTH_TOKEN has 4 characters, a token has 32. Source: environment "
        "(.env line 1 has another: to use that, unset the variable). "
        "Compare with console.twilio.com > Account"
    )
    assert "0123" not in problem.line
    assert problem.exit_code == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TWILIO_ACCOUNT_SID": TOKEN, "TWILIO_AUTH_TOKEN": SID}, "are swapped"),
        ({"TWILIO_ACCOUNT_SID": f'"{SID}"'}, "TWILIO_ACCOUNT_SID has quotes in its value"),
        ({"TWILIO_AUTH_TOKEN": f"{TOKEN}\u201d"}, "TWILIO_AUTH_TOKEN has quotes in its value"),
        ({"TWILIO_ACCOUNT_SID": f" {SID}"}, "TWILIO_ACCOUNT_SID has a blank before its value"),
        ({"TWILIO_AUTH_TOKEN": f"{TOKEN}\n"}, "TWILIO_AUTH_TOKEN has a blank after its value"),
        ({"TWILIO_AUTH_TOKEN": f"{TOKEN[:9]} {TOKEN[9:]}"}, "has a blank in its value"),
        ({"TWILIO_ACCOUNT_SID": KEY}, "holds an API key (SK…); an account SID begins with AC"),
        ({"TWILIO_ACCOUNT_SID": TOKEN}, "holds what looks like an auth token"),
        ({"TWILIO_ACCOUNT_SID": SID[:-1]}, "has 33 characters, an account SID has 34"),
        ({"TWILIO_ACCOUNT_SID": SID[:-1] + "x"}, "is not AC and 32 hex digits"),
        ({"TWILIO_AUTH_TOKEN": KEY}, "TWILIO_AUTH_TOKEN holds a SID (SK…), no token"),
        ({"TWILIO_AUTH_TOKEN": "x"}, "TWILIO_AUTH_TOKEN has 1 character, a token has 32"),
        ({"TWILIO_AUTH_TOKEN": "x" * 32}, "TWILIO_AUTH_TOKEN is not 32 hex digits"),
        ({**BY_KEY, "TWILIO_API_KEY": SID}, "holds an account SID (AC…); an API key begins with"),
        ({**BY_KEY, "TWILIO_API_KEY": "SK2"}, "TWILIO_API_KEY has 3 characters"),
        ({**BY_KEY, "TWILIO_API_SECRET": KEY}, "TWILIO_API_SECRET holds a SID (SK…), no secret"),
        ({**BY_KEY, "TWILIO_API_SECRET": "kP\u043e"}, "has a character that no secret has"),
        ({"TWILIO_ACCOUNT_SID": ""}, "TWILIO_AUTH_TOKEN is set without TWILIO_ACCOUNT_SID"),
        ({**BY_KEY, "TWILIO_ACCOUNT_SID": ""}, "TWILIO_API_KEY is set without TWILIO_ACCOUNT_SID"),
        (
            {**BY_KEY, "TWILIO_ACCOUNT_SID": "", "TWILIO_API_KEY": "", "TWILIO_AUTH_TOKEN": ""},
            "TWILIO_API_SECRET is set without TWILIO_ACCOUNT_SID",
        ),
        (
            {"TWILIO_AUTH_TOKEN": None, "TWILIO_API_SECRET": KEY_SECRET},
            "TWILIO_API_SECRET is set without TWILIO_API_KEY",
        ),
        (
            {"TWILIO_AUTH_TOKEN": None},
            "TWILIO_ACCOUNT_SID is set without TWILIO_AUTH_TOKEN (or TWILIO_API_KEY and TWI",
        ),
    ],
)
def test_what_cannot_be_right_is_found_offline(load, changes, words):
    """C2 names the variable and what is wrong with its value, before Twilio is asked."""
    environment = {k: v for k, v in {**LOGIN, **changes}.items() if v is not None}

    problem = complaint(load(environment))

    assert problem.id == "C2"
    assert words in problem.line
    assert TOKEN not in problem.line


@given(st.dictionaries(st.sampled_from(sorted({**LOGIN, **BY_KEY})), st.text(min_size=1)))
def test_any_value_can_be_judged(values):
    """Whatever stands in the variables, it is judged, and never shown."""
    found = misshapen(values)

    if found is not None:
        variable, words = found
        assert variable in values
        telling = [value for value in values.values() if len(value) >= 5 and not value.isalpha()]
        assert not [value for value in telling if value in words and value not in variable]


def test_an_unknown_profile_is_said_with_the_known_ones(load, profiles):
    """C12, exit 3; a profile of before 2022 has its own reason, and so has no file at all."""
    with pytest.raises(CredentialsError, match=r"C12: .*has none") as caught:
        load(profile="work")
    assert caught.value.exit_code == 3

    profiles(work=WORK, home=WORK)

    with pytest.raises(CredentialsError, match=r'profile "shop" \(there are: home, work\)'):
        load(profile="shop")
    with pytest.raises(CredentialsError, match="made before 2022"):
        load(profile="ancient")


# Region, origin, folders


@pytest.mark.parametrize(
    ("region", "edge", "pair"),
    [
        ("ie1", "dublin", ("ie1", "dublin")),
        ("ie1", "", ("ie1", "dublin")),
        ("", "sydney", ("us1", "sydney")),
        ("", "", (None, None)),
    ],
)
def test_region_and_edge_come_as_a_pair(load, region, edge, pair):
    """The SDK would call a host that has been switched off if only the region were set."""
    login = load({**LOGIN, "TWILIO_REGION": region, "TWILIO_EDGE": edge}).rest_credentials()

    assert (login.region, login.edge) == pair


@pytest.mark.parametrize("name", ["TWILIO_REGION", "TWILIO_EDGE"])
@pytest.mark.parametrize("value", ["evil.example/x", "x@evil.example", "a.b", "a b", "\u0661"])
def test_region_and_edge_are_names_and_no_part_of_another_address(load, name, value):
    """They stand in the host that gets the credentials, and a .env may come from anywhere."""
    with pytest.raises(UsageError, match=f"U6: {name} cannot be"):
        load({**LOGIN, "TWILIO_REGION": "ie1", "TWILIO_EDGE": "dublin", name: value})


def test_a_region_nobody_knows_needs_its_edge(load):
    """There is no guessing: the variable that is missing is named."""
    with pytest.raises(UsageError, match="TWILIO_EDGE to be set beside it"):
        load({"TWILIO_REGION": "xx9"})


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:4010", "http://127.0.0.1:4010"),
        ("http://localhost:4010/", "http://localhost:4010"),
        ("https://[::1]:4010", "https://[::1]:4010"),
    ],
)
def test_twilio_may_be_elsewhere(load, url, origin):
    """An origin takes the place of Twilio's; on this computer it can reach what we can."""
    settings = load({**LOGIN, "SMSQUEST_TWILIO_URL": url})

    assert settings.rest_credentials().origin == origin
    assert settings.twilio_is_local
    assert not load().twilio_is_local
    assert not load({"SMSQUEST_TWILIO_URL": "https://twilio.example"}).twilio_is_local


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:4010", "ftp://127.0.0.1", "http://", "http://x:0", "http://x:99999", "http://x/y",
     "http://x?y", "http://u@x", "http://[", "http://x#y"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(load, url):
    """A path, a query, a user name would be lost: they are refused."""
    with pytest.raises(UsageError, match="SMSQUEST_TWILIO_URL cannot be"):
        load({"SMSQUEST_TWILIO_URL": url})


def test_a_folders_env_file_sends_no_credentials_to_another_computer(load, tmp_path):
    """A `.env` that came with somebody's repository cannot have our token sent to them."""
    evil = "SMSQUEST_TWILIO_URL=https://twilio.example\n"

    with pytest.raises(UsageError, match="an origin on this computer"):
        load(LOGIN, evil)
    assert load(LOGIN, "SMSQUEST_TWILIO_URL=http://127.0.0.1:4010\n").twilio_is_local
    (tmp_path / "mine.env").write_text(evil)
    assert load(LOGIN, env_file=tmp_path / "mine.env").twilio_url == "https://twilio.example"


@pytest.mark.parametrize("path", ["ngrok", "./ngrok", "{here}/ngrok", "bin/../ngrok"])
def test_a_folders_env_file_has_no_program_of_its_own_run(load, tmp_path, path):
    """Nor can it have a program run that came with it."""
    (tmp_path / "ngrok").write_text("#!/bin/sh")
    line = f"PYNGROK_NGROK_PATH={path.format(here=tmp_path)}\n"

    with pytest.raises(UsageError, match="a program outside this folder"):
        load((), line)
    (tmp_path / "mine.env").write_text(line)
    assert load(env_file=tmp_path / "mine.env").ngrok_path


@pytest.mark.parametrize("path", ["/opt/ngrok", "ngrok", "~/bin/ngrok"])
def test_an_env_file_may_name_an_installed_agent(load, tmp_path, path):
    """What is installed elsewhere on this computer is the user's own."""
    assert load((), f"PYNGROK_NGROK_PATH={path}\n").ngrok_path == path
    assert load({"PYNGROK_NGROK_PATH": f"{tmp_path}/ngrok"}).source_of("ngrok_path") == (
        "environment"
    )


def test_the_state_folder_is_for_this_user_only(load, tmp_path):
    """It is made 0700, and so is one that is empty; what holds anything may be somebody's."""
    home = load({"SMSQUEST_HOME": "deep/state"}).home

    assert home == tmp_path / "deep" / "state"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert load().store == str(tmp_path / "state" / "events.sqlite3")
    assert load({"SMSQUEST_STORE": "/tmp/x.db"}).store == "/tmp/x.db"

    for name, files, mode in (("empty", (), 0o700), ("theirs", ("notes.txt",), 0o755)):
        there = tmp_path / name
        there.mkdir()
        there.chmod(0o755)
        for file in files:
            (there / file).touch()
        assert stat.S_IMODE(load({"SMSQUEST_HOME": name}).home.stat().st_mode) == mode


def test_the_state_folder_alone_is_found_as_with_all_settings(tmp_path):
    """By those who need nothing else: the environment first, then the ``.env``."""
    (tmp_path / ".env").write_text("SMSQUEST_HOME=mine\n")
    (tmp_path / "other").write_text("SMSQUEST_HOME=theirs\n")

    assert state_folder({}, cwd=tmp_path) == tmp_path / "mine"
    assert state_folder({"SMSQUEST_HOME": "ours"}, cwd=tmp_path) == tmp_path / "ours"
    assert state_folder({}, cwd=tmp_path, env_file=Path("other")) == tmp_path / "theirs"


def test_the_state_folder_is_the_systems_by_default(tmp_path, monkeypatch):
    """Without SMSQUEST_HOME it is where programs of this system keep such things."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)

    home = load_settings({}, cwd=tmp_path).home

    assert home.is_relative_to(tmp_path)
    assert home.name == "smsquest"


def test_a_folder_that_cannot_be_made_is_for_later(load, tmp_path):
    """A command that needs no state works without."""
    (tmp_path / "file").write_text("")

    assert load({"SMSQUEST_HOME": str(tmp_path / "file" / "state")}).number is None


# Secrets


def test_no_secret_is_in_a_repr(load):
    """Neither the settings nor the credentials show what they know."""
    settings = load(
        {
            **BY_KEY,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "NGROK_AUTHTOKEN": "2abcSECRET",
            "SMSQUEST_WEBHOOK_SECRET": "hookSECRET",
        }
    )

    shown = f"{settings!r} {settings.rest_credentials()!r} {settings.auth_token}"

    assert not [one for one in (TOKEN, KEY_SECRET, "2abcSECRET", "hookSECRET") if one in shown]
    assert settings.ngrok_authtoken.reveal() == "2abcSECRET"


def test_a_secret_is_a_value_that_nothing_writes():
    """Two of one text are equal; it cannot be pickled by mistake."""
    assert Secret("x") == Secret("x")
    assert Secret("x") != Secret("y")
    assert Secret("x") != "x"
    assert len({Secret("x"), Secret("x")}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(Secret("x"))


def test_a_sid_is_masked_for_the_screen():
    """Four characters, two characters."""
    assert masked(SID) == "AC11…1f"
    assert masked("short") == "short"


def test_finding_out_that_there_are_no_credentials_is_fast(tmp_path):
    """Neither Twilio's SDK nor python-dotenv is loaded for it."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from smsquest_cli.config import load_settings\n"
        f"settings = load_settings({{'HOME': {str(tmp_path)!r}, 'SMSQUEST_HOME': 'x'}}, "
        f"cwd=Path({str(tmp_path)!r}))\n"
        "try:\n    settings.rest_credentials()\n"
        "except Exception as err:\n    print(err.id, *({'twilio', 'dotenv', 'platformdirs', "
        "'requests'} & set(sys.modules)))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.split() == ["C1"]


def test_every_complaint_ends_the_command_with_its_code(load):
    """All of them are problems of ours, with an exit code."""
    assert issubclass(CredentialsError, SmsquestError)
    assert complaint(load()).severity == "error"
