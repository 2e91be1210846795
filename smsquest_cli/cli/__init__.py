"""The command line: options in, call, exit code out. The only place that exits.

Each command has a file of its own, which is imported when the command is called, so that
``--help`` and a short command stay fast (`Commands`).
"""

from __future__ import annotations

import itertools
import re
import signal
import sys
import threading
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from smsquest_cli import __version__
from smsquest_cli.cli.bugs import bugs_of_threads, show_bug
from smsquest_cli.cli.conversion import convert_late
from smsquest_cli.cli.invocation import Invocation, working_folder
from smsquest_cli.overview import COMMANDS, OPTIONS, overview
from smsquest_cli.problems import LocalError, NumberError, SmsquestError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERRUPTED: Final = 130
TERMINATED: Final = 143
TEXTING: Final = ("simulate", "send")
SECRET_OPTION: Final = re.compile(
    r"No such option: --\S*(?:token|secret|password|api-key)\b", re.IGNORECASE
)
_UNREADABLE: Final[Any] = typer.BadParameter.__base__  # Typer has no name of its own for it


@contextmanager
def _readable(ctx: typer.Context) -> Iterator[None]:
    """Turn Typer's error about a command line that it cannot read into one of ours (U9)."""
    try:
        yield
    except _UNREADABLE as err:
        said = err.format_message().replace("Value error, ", "")  # without pydantic's prefix
        problem = said.partition(", unable to parse")[0].strip().rstrip(".")
        named = f"smsquest {ctx.invoked_subcommand or ''}".strip()  # for errors that name none
        command = err.ctx.command_path if err.ctx else named
        if hint := _about_secrets(problem):
            problem = problem.partition(" (")[0] + hint  # not with options that look alike
        if name := _of_the_root(problem):
            problem += f"; it stands before the command: smsquest {name} …"
        elif command.endswith(TEXTING):
            problem += _about_texts(problem, command)
        raise UsageError("U9", problem=problem, command=command) from err


def _about_secrets(problem: str) -> str:
    """A hint for a secret that was given as an option, else empty; its value is not repeated."""
    if not SECRET_OPTION.match(problem):
        return ""
    return "; a secret is no option (shell history, ps): put it into the environment or .env"


def _of_the_root(problem: str) -> str | None:
    """The root option that *problem* calls unknown because it was typed after the command."""
    _, _, name = problem.partition("No such option: ")
    known = {word for names in OPTIONS for word in re.findall(r"--?[a-z-]+", names)}
    return name if name in known else None


def _about_texts(problem: str, command: str) -> str:
    """A hint for a text that was typed without quotes or that begins with a dash, else empty."""
    if "unexpected extra argument" in problem:
        hint = '; a text of several words stands in quotes: "hello quest"'
        waits = "; --wait takes final, sent or delivered"
        return hint + (waits if command.endswith("send") else "")
    if problem.startswith("No such option: -") and not problem.startswith("No such option: --"):
        return '; a text that begins with a dash stands behind --: -- "-hello"'
    return ""


def _take_over(parameters: Sequence[Any]) -> None:
    """Convert the *parameters* of a command late, and write its help as results are written."""
    convert_late(parameters)
    for parameter in parameters:
        if parameter.name == "help":
            parameter.callback = _show_help


def _show_help(ctx: typer.Context, _option: object, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        _answer(ctx.get_help())


def _show_version(*, wanted: bool) -> None:
    if wanted:
        _answer(f"smsquest {__version__}")


def _answer(text: str) -> NoReturn:
    """Show *text* and exit; raises as `console.write_line` does."""
    from smsquest_cli import console

    console.write_line(text)
    raise typer.Exit


class Commands(TyperGroup):
    """The commands by name; each is imported when it is wanted."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """The names, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401
        """The command *cmd_name*, or None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"smsquest_cli.cli.{cmd_name.replace('-', '_')}")
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        command = alone.command(cmd_name, cls=getattr(module, "Command", None))
        command(getattr(module, cmd_name.replace("-", "_")))
        made = typer.main.get_command(alone)
        _take_over(made.get_params(ctx))
        return made

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Read the options before the command; raises `UsageError` (U9) if they cannot be read."""
        _take_over(self.get_params(ctx))
        if not args:
            return super().parse_args(ctx, args)  # which shows the help
        with _readable(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Read what follows the command's name, and run it; raises as `parse_args` does.

        Ctrl-C is caught here because Typer would exit without giving the prompt its own line.
        """
        try:
            with _readable(ctx):
                return super().invoke(ctx)
        except KeyboardInterrupt as err:
            from smsquest_cli import console

            console.begin_line()
            raise typer.Exit(INTERRUPTED) from err

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """The same text as `main` shows before Typer is imported."""
        del ctx
        formatter.write(overview() + "\n")


app = typer.Typer(
    name="smsquest",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they would cost the import of rich; ours never show locals
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            envvar="SMSQUEST_PROFILE",
            help="A profile of the Twilio CLI (~/.twilio-cli) to take credentials from.",
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            help="Read this file instead of .env in the working folder.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _show_version(wanted=value),
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Receive Twilio SMS on your own machine."""
    invocation: Invocation = ctx.obj
    invocation.profile = profile or None
    invocation.env_file = env_file
    invocation.debug = debug
    _say_what_waits(invocation)


def _say_what_waits(invocation: Invocation) -> None:
    """One line for the numbers that killed runs have left pointing here."""
    from smsquest_cli.config import state_folder

    try:
        folder = working_folder()
    except LocalError:  # a command that needs the folder reports this itself
        return
    home = state_folder(invocation.environment, cwd=folder, env_file=invocation.env_file)
    if not any((home / "journal").glob("*.json")):  # the usual case costs nothing more
        return
    from datetime import UTC, datetime

    from smsquest_cli import console
    from smsquest_cli.journal import Journal

    for note in Journal(home).notes(at=datetime.now(UTC)):
        console.show_problem(note)


@contextmanager
def _unwound_by_sigterm() -> Iterator[None]:
    """Let a supervisor's SIGTERM end a command as Ctrl-C does: what it has begun is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        sys.exit(TERMINATED)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is end:  # unless `Signals` has set it to be ignored
            signal.signal(signal.SIGTERM, former)


def run(arguments: Sequence[str]) -> int:
    """Run one call of the command line and return its exit code; errors are shown here."""
    from smsquest_cli import console

    console.use_utf8()
    invocation = Invocation()
    if _asks_for_json(arguments):  # even if the command line cannot be read
        invocation.output = console.Output.JSON
    try:
        with _unwound_by_sigterm(), bugs_of_threads(invocation):
            _refuse_undecoded(arguments)
            app(list(arguments), prog_name="smsquest", obj=invocation)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except Exception as err:  # noqa: BLE001 - an unknown one is a bug
        try:
            return _ended_by(err, invocation)
        except (LocalError, console.ReaderGoneError) as worse:  # writing the error failed in turn
            return _ended_by(worse, invocation)
    return 0


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether the options among *arguments* ask for JSON, whatever a text among them says."""
    options = [*itertools.takewhile(lambda argument: argument != "--", arguments)]
    pairs = itertools.pairwise([*options, ""])
    return any(
        first in ("-ojson", "--output=json") or (first in ("-o", "--output") and second == "json")
        for first, second in pairs
    )


def _refuse_undecoded(arguments: Sequence[str]) -> None:
    """Raise `UsageError` (U9) for bytes that are not valid text: nothing can be done with them."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError as err:
        problem = "An argument is not valid UTF-8"
        raise UsageError("U9", problem=problem, command="smsquest") from err


def _ended_by(err: Exception, invocation: Invocation) -> int:
    """Show *err*, if there is anything to show, and return the exit code of the call it ended."""
    from smsquest_cli import console

    match err:
        case SmsquestError():
            console.show_error(err, output=invocation.output, debug=invocation.debug)
            return err.exit_code
        case console.DeclinedError():
            return NumberError.exit_code
        case console.ReaderGoneError():
            return 0
    return show_bug(err, invocation)
