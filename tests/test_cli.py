"""The command line as a whole: help, usage errors, pipes, and the pages that document it."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from program import COMMAND

import smsquest_cli
from smsquest_cli.overview import COMMANDS, OPTIONS, overview

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"


def function_of(command):
    """The function behind *command*."""
    name = command.replace("-", "_")
    return getattr(importlib.import_module(f"smsquest_cli.cli.{name}"), name)


PRESSED_EARLY = """
import sys
from smsquest_cli.__main__ import main

class Pressed:
    def find_spec(self, name, *_):
        if name == "smsquest_cli.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed())
main()
"""


def test_ctrl_c_before_anything_has_begun_is_no_traceback():
    """Whoever sees a mistake in what was typed presses it while Python still imports."""
    done = subprocess.run(
        [sys.executable, "-c", PRESSED_EARLY, "serve"], capture_output=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.parametrize(("command", "line"), COMMANDS.items())
def test_the_overview_says_of_a_command_what_its_own_help_says(command, line):
    """The list of commands is text; this holds it and the commands together."""
    assert function_of(command).__doc__.splitlines()[0] == line


def test_the_two_first_steps_stand_above_the_commands(smsquest):
    """Someone without an account sees the sandbox first."""
    shown = smsquest("--help").stdout

    assert shown.rstrip("\n") == overview()
    assert shown.index("serve --sandbox") < shown.index("Commands:")


def test_the_overview_lists_the_root_options():
    """Every option of the root, and no other, is in the text."""
    import typer

    from smsquest_cli.cli import app

    declared = {name for parameter in typer.main.get_command(app).params for name in parameter.opts}
    listed = {name for text in OPTIONS for name in text.split() if name.startswith("-")}
    assert {name.rstrip(",") for name in listed} - {"-h", "--help"} == declared


def test_no_arguments_is_the_help_and_2(smsquest):
    """Somebody who types the name alone is shown where to begin."""
    done = smsquest()

    assert done.returncode == 2
    assert "smsquest serve --sandbox" in done.stdout + done.stderr


def test_the_version_is_the_packages(smsquest):
    """``--version`` says what is installed."""
    assert smsquest("--version").stdout == f"smsquest {smsquest_cli.__version__}\n"


def test_a_mistyped_command_is_2_and_on_standard_error(smsquest):
    """Nothing of it reaches standard output."""
    done = smsquest("serv")

    assert (done.returncode, done.stdout) == (2, "")
    assert "serv" in done.stderr


def test_it_runs_as_a_module_with_the_same_name(smsquest):
    """``python -m smsquest_cli`` shows the usage of ``smsquest``."""
    assert smsquest("explain", "--help").stdout.startswith("Usage: smsquest explain")


@pytest.mark.parametrize("arguments", [("explain", "30007"), ("--help",)])
def test_a_reader_that_goes_away_ends_it_quietly(environment, tmp_path, arguments):
    """``| head -1`` leaves no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "smsquest_cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()

    assert (process.wait(20), errors) == (0, b"")


def test_every_exit_code_is_documented():
    """The classes of problems and the page of exit codes agree."""
    from smsquest_cli import problems

    page = (REFERENCE / "exit-codes.md").read_text("utf-8")
    codes = {
        kind.exit_code
        for kind in vars(problems).values()
        if isinstance(kind, type) and issubclass(kind, problems.SmsquestError)
    }
    for code in codes:
        assert f"| {code} | " in page


def test_every_record_and_field_is_documented():
    """``docs/reference/records.md`` names each type with each of its fields."""
    from dataclasses import fields

    from smsquest_cli.events import EVENT_TYPES

    page = (REFERENCE / "records.md").read_text("utf-8")
    for kind, record in EVENT_TYPES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}` |"))
        for field in fields(record):
            assert field.name == "ts" or f"`{field.name.rstrip('_')}`" in row, (kind, field.name)


def test_the_links_of_the_documents_lead_somewhere():
    """No page names a file that is not there."""
    import re

    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_begins_with_a_sentence_a_picture_and_the_two_commands():
    """What a newcomer needs stands first, in this order."""
    readme = (ROOT / "README.md").read_text("utf-8")

    places = [readme.index(part) for part in ("one command", "![", "serve --sandbox", "-m pytest")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("log", "--since", "5x"), "--since"),
        (("tail-status", "--since", "soon"), "--since"),
        (("tail-status", "--interval", "now"), "--interval"),
        (("serve", "--sandbox", "--timeout", "9e"), "--timeout"),
        (("serve", "--backfill", "all"), "--backfill"),
        (("send", "x", "--to", "+12025550143", "--timeout", ""), "--timeout"),
        (("simulate", "--media", "owl.png"), "--media"),
        (("send", "x", "--to", "+12025550143", "--media", "ftp://host/x"), "--media"),
    ],
)
def test_a_value_that_is_none_is_refused_by_the_name_of_its_option(
    smsquest_here, arguments, option
):
    """One line, exit 2, before anything is started or sent."""
    done = smsquest_here(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error[U6]: {option} cannot be ")


def test_every_option_says_what_it_takes(smsquest_here):
    """A word such as URL or DURATION; never the name of a type of Python."""
    for command in COMMANDS:
        options = [
            line
            for line in smsquest_here(command, "--help").stdout.splitlines()
            if line.startswith("  -")
        ]
        assert options
        assert not [line for line in options if re.search("<(str|int|float|path|file)", line)]


# What cannot be read, and what cannot be written


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("serve", "--bogus"), "No such option: --bogus. See: smsquest serve --help"),
        (("send", "hi"), "Missing option '--to'. See: smsquest send --help"),
        (("check",), "Missing argument 'url'. See: smsquest check --help"),
        (("nosuch",), "No such command 'nosuch'. See: smsquest --help"),
        (("--debug",), "Missing command. See: smsquest --help"),
        (("serve", "--reply"), "Option '--reply' requires an argument. See: smsquest serve --help"),
        (
            ("serve", "--port", "x"),
            (
                "Invalid value for '--port': Input should be a valid integer. "
                "See: smsquest serve --help"
            ),
        ),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_line(smsquest_here, arguments, problem):
    """U9 and exit 2, with where it is explained."""
    done = smsquest_here(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error[U9]: {problem}\n"


@pytest.mark.parametrize("option", [("-o", "json"), ("-ojson",), ("--output=json",)])
def test_programs_get_a_record_of_that_too(smsquest_here, option):
    """Though the command line could not be read, what it asks for is plain."""
    done = smsquest_here("log", "--bogus", *option)

    assert json.loads(done.stdout)["id"] == "U9"


@pytest.mark.parametrize(
    "arguments",
    [("simulate", "please -o json now", "--bogus"), ("simulate", "--bogus", "--", "-o", "json")],
)
def test_a_text_asks_for_no_json(smsquest_here, arguments):
    """What is said in a message is not an option."""
    done = smsquest_here(*arguments)

    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "arguments",
    ["--version", "--help", "log --help", "--debug --help", "explain N4", "log --bogus -o json"],
)
def test_an_output_that_takes_nothing_is_said(environment, arguments):
    """L5 and exit 7, in one line; nothing of Python's."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*COMMAND, *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )

    assert done.returncode == 7
    assert done.stderr.endswith(
        "error[L5]: standard output cannot be written (no space left on device): "
        "what comes from here on is lost\n"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize("arguments", ["--help", "log --help", "-p '' --version", "explain N4"])
def test_a_reader_that_has_gone_is_no_error(environment, arguments):
    """Exit 0, quietly: whoever pipes a page into `head` has seen what they wanted."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*COMMAND, *shlex.split(arguments)],
        stdout=theirs, stderr=subprocess.PIPE, text=True, env=environment, check=False,
    )  # fmt: skip
    os.close(theirs)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_the_prompt_comes_back_on_its_own_line(environment):
    """A terminal writes ^C where the cursor stands; Ctrl-C leaves the line to it."""
    ours, theirs = pty.openpty()
    at_a_terminal = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/sms"
        command = [sys.executable, "-c", at_a_terminal, *COMMAND, "simulate", "hi", "--url", url]
        quiet = {**environment, "PYTHONWARNINGS": ""}  # of the socket that Ctrl-C leaves open
        with subprocess.Popen(command, stdin=theirs, env=quiet) as process:
            connection, _ = silent.accept()
            os.write(ours, b"\x03")
            assert process.wait(20) == 130
            connection.close()
    os.close(theirs)

    assert os.read(ours, 10_000).endswith(b"^C\r\n")
    os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize(("closed", "code"), [("explain N4 >&-", 0), ("explain bogus 2>&-", 2)])
def test_a_stream_that_is_closed_takes_everything(environment, closed, code):
    """Who closes one wants to hear nothing, and the exit code says the rest."""
    command = " ".join(map(shlex.quote, COMMAND))
    done = subprocess.run(
        ["sh", "-c", f"{command} {closed}"], capture_output=True, env=environment, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
def test_a_text_from_a_closed_standard_input_is_none(environment):
    """U10, in one line."""
    command = " ".join(map(shlex.quote, [*COMMAND, "simulate", "-"]))
    done = subprocess.run(
        ["sh", "-c", f"{command} <&-"], capture_output=True, text=True, env=environment, check=False
    )

    assert (done.returncode, done.stderr) == (
        2,
        "error[U10]: - needs the text on standard input\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
@pytest.mark.parametrize(
    ("arguments", "code"), [("serve --sandbox", 7), ("doctor", 7), ("explain 30007", 0)]
)
def test_a_folder_that_is_gone_is_said(environment, tmp_path, arguments, code):
    """L7, where one is needed: a terminal stays in a folder that was deleted meanwhile."""
    command = " ".join(map(shlex.quote, COMMAND))
    there = tmp_path / "there"
    there.mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir {there}; {command} {arguments}"],
        capture_output=True, text=True, cwd=there, check=False,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    said = "error[L7]: the folder that you are in is gone. Go to another one: cd ~\n"
    assert (done.returncode, done.stderr) == (code, said if code else "")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("simulate", "hello", "quest"), 'a text of several words stands in quotes: "hello quest"'),
        (("simulate", "-hello"), 'a text that begins with a dash stands behind --: -- "-hello"'),
        (
            ("send", "hi", "--to", "1", "--wait", "bogus"),
            "--wait takes final, sent or delivered. See",
        ),
        (("log", "--nothing"), "No such option: --nothing. See: smsquest log --help"),
        (("log", "-p", "x"), "it stands before the command: smsquest -p …"),
        (("simulate", "--debug"), "it stands before the command: smsquest --debug …"),
    ],
)
def test_what_is_typed_in_the_wrong_way_or_place_is_told(smsquest_here, arguments, hint):
    """U9 says how a text is to be typed, and where an option stands that is not the command's."""
    done = smsquest_here(*arguments)

    assert done.returncode == 2
    assert hint in done.stderr


@pytest.mark.parametrize("option", [("--keep",), ("--via-service",), ("--backfill", "1h")])
@pytest.mark.parametrize("entrance", ["--sandbox", "--no-tunnel"])
def test_what_is_about_a_number_is_for_those_who_have_one(smsquest_here, entrance, option):
    """U5: an option that could only be ignored is refused."""
    done = smsquest_here("serve", entrance, *option)

    assert done.returncode == 2
    assert f"error[U5]: {entrance} and {option[0]} exclude each other" in done.stderr


def test_a_domain_of_ngrok_is_for_those_who_use_it(smsquest_here):
    """U5: another tunnel has its own."""
    url = "https://tunnel.example"
    done = smsquest_here("serve", "--public-url", url, "--domain", "x.ngrok.app")

    assert done.returncode == 2
    assert "error[U5]: --public-url and --domain exclude each other" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere arguments are text")
@pytest.mark.parametrize("arguments", [["log", "--number", b"\xff"], ["simulate", b"caf\xe9"]])
def test_bytes_that_are_no_text_are_refused(environment, arguments):
    """Typed in a terminal of another encoding: nothing could be searched for or sent with them."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment, check=False
    )

    assert done.returncode == 2
    assert done.stderr == "error[U9]: An argument is not valid UTF-8. See: smsquest --help\n"


def test_the_page_of_the_settings_names_every_variable():
    """And none that nobody reads."""
    from smsquest_cli.config.sources import VARIABLES

    table = (REFERENCE / "settings.md").read_text("utf-8").partition("| --- |")[0]
    named = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", line.split("|")[1])
    }

    assert named == {*VARIABLES.values(), "TWILIO_CONFIG_DIR", "SMSQUEST_PROFILE"}


@pytest.mark.parametrize("option", ["--auth-token", "--authtoken", "--ngrok-authtoken=x"])
def test_a_secret_as_an_option_is_sent_where_it_belongs(smsquest_here, option):
    """It stands in the history of the shell now, and is not repeated."""
    done = smsquest_here("serve", option, "sesame")

    assert done.returncode == 2
    assert "a secret is no option (shell history, ps)" in done.stderr
    assert "sesame" not in done.stderr


@pytest.mark.parametrize("arguments", [("explain", "N4"), ("log",), ("serve", "--sandbox")])
def test_a_profile_that_there_is_not_ends_every_command(smsquest_here, arguments):
    """C12 and exit 3, also where no credentials are needed."""
    done = smsquest_here("--profile", "nope", *arguments)

    assert (done.returncode, done.stdout) == (3, "")
    assert 'error[C12]: no twilio-cli profile "nope"' in done.stderr


@pytest.mark.parametrize(
    "arguments", [("replay", "last"), ("serve", "--sandbox", "--timeout", "0")]
)
def test_debug_shows_where_an_error_comes_from(smsquest, arguments):
    """A traceback before the line, of every command."""
    done = smsquest("--debug", *arguments)

    assert done.stderr.count("Traceback (most recent call last):") == 1
    assert done.stderr.index("Traceback") < done.stderr.index("\nerror[")
