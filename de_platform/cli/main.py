"""The command line: a table of commands, each imported when used, and the one place where errors become exit codes.

A new command is a file with a cyclopts `app` beside this one, and a line in `COMMANDS`.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from de_platform import __version__
from de_platform.cli.exit_codes import ExitCode, code_of
from de_platform.config.suggestions import suggestion
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.registry import load

if TYPE_CHECKING:
    from cyclopts import App


class Command(NamedTuple):
    """One command or group of commands."""

    name: str
    app: str
    """Dotted path of its cyclopts App."""
    help: str
    is_shown: bool = True


COMMANDS = (
    Command("up", "de_platform.cli.up.app", "run the whole platform on this machine, until Ctrl-C"),
    Command("demo", "de_platform.cli.demo.app", "the same with three demo tenants, history and live events"),
    Command("run", "de_platform.cli.run.app", "run one module"),
    Command("modules", "de_platform.cli.modules_command.app", "list the modules that can be run"),
    Command("migrate", "de_platform.cli.migrate.app", "bring the databases up to date"),
    Command("doctor", "de_platform.cli.doctor.app", "check this machine, with a fix for each failing check"),
    Command("events", "de_platform.cli.events.app", "bring in the events of a file"),
    Command("errors", "de_platform.cli.errors.app", "list refused events, or send them once more"),
    Command("config", "de_platform.cli.config_command.app", "show the settings in force"),
    Command("worker", "de_platform.cli.worker.app", "one process of `up`, which starts it", is_shown=False),
    Command("demo-feed", "de_platform.cli.demo.feed_app", "sends the demo's events; `demo` starts it", is_shown=False),
)

_HEAD = """Examples:

    de-platform demo                         see it at work, with generated data
    de-platform up                           the whole platform on this machine
    de-platform modules                      what can be run
    de-platform run hello_world --name you   one module
    de-platform run hello_world --help       what a module takes
    de-platform doctor                       is this machine ready?
    de-platform config show --origin         which settings are in force, and why

Usage: de-platform COMMAND [ARGUMENTS]

Trade surveillance and transaction monitoring.

Commands:

"""
_FOOT = """
Every command explains itself: de-platform COMMAND --help

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 something needed does not
answer, try again; 4 stopped, but not in order; 130 cut short by Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line. Returns the exit code; says on standard error what went wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except (InvalidInput, Unavailable) as error:
        _say(error)
        return code_of(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return code


def help_text() -> str:
    """Return what `--help` prints."""
    shown = [command for command in COMMANDS if command.is_shown]
    width = max(len(command.name) for command in shown)
    return _HEAD + "".join(f"    {c.name:<{width}}  {c.help}\n" for c in shown) + _FOOT


def _dispatch(words: Sequence[str]) -> int:
    match words:
        case [] | ["--help" | "-h" | "help", *_]:
            sys.stdout.write(help_text())
            return ExitCode.OK
        case ["--version", *_]:
            sys.stdout.write(f"{__version__}\n")
            return ExitCode.OK
        case [name, *rest]:
            command = next((each for each in COMMANDS if each.name == name), None)
            if command is None:
                known = [each.name for each in COMMANDS if each.is_shown]
                raise InvalidInput.single("", f"unknown command {name}; {suggestion(name, known)}")
            return _run(load(command.app), rest)
        case _:
            raise AssertionError(words)


def _run(app: "App", words: Sequence[str]) -> int:
    from cyclopts import CycloptsError  # noqa: PLC0415 - slow to import, and the help does without

    try:
        result: object = app(words, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return ExitCode.USAGE
    return result if isinstance(result, int) else ExitCode.OK


def _say(error: InvalidInput | Unavailable) -> None:
    if isinstance(error, Unavailable):
        sys.stderr.write(f"error: {error}\n")
        return
    for fault in error.errors:
        sys.stderr.write(f"error: {fault.field}: {fault.message}\n" if fault.field else f"error: {fault.message}\n")
