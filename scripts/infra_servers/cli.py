"""The command line of `scripts/infra`: settings on stdout, everything else on stderr."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.infra_servers.infra import KINDS, Infra
from scripts.infra_servers.server import Server

_EPILOG = """\
Without names, all servers are meant. `up` and `env` print settings as NAME=value:
  env $(scripts/infra env) make test-integration
  eval "$(scripts/infra env --export)"
A server whose address is in the environment already is used as it is. Data is in .infra, programs that were fetched
in .cache/infra; INFRA_DATA and INFRA_DOWNLOADS name other folders.
"""


def main(
    arguments: Sequence[str], environ: Mapping[str, str] = os.environ, kinds: Sequence[type[Server]] = KINDS
) -> int:
    """Run one command. Returns 0 when all that was asked for is so, 1 when something is missing; says what and why."""
    chosen = _parser([kind.name for kind in kinds]).parse_args(arguments)
    values = {**environ, **({"INFRA_DATA": str(chosen.data)} if chosen.data else {})}
    infra = Infra.of_environment(values, kinds)
    match chosen.command:
        case "up":
            return _up(infra, chosen.names or infra.names, export=chosen.export)
        case "down":
            return _down(infra, chosen.names or infra.names)
        case "env":
            _print_env(infra.env(), export=chosen.export)
            return 0
        case _:
            return _status(infra)


def _up(infra: Infra, names: Sequence[str], *, export: bool) -> int:
    """Start everything at once, so that the slowest decides how long it takes."""
    began = time.monotonic()
    outcomes = infra.up(names, keep=True)
    for outcome in outcomes:
        _say(f"{outcome.name}: {outcome.failure or ('up' if outcome.env else 'given by the environment')}")
    _say(f"took {time.monotonic() - began:.1f} s")
    _print_env({name: value for outcome in outcomes for name, value in outcome.env.items()}, export=export)
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def _down(infra: Infra, names: Iterable[str]) -> int:
    stopped = infra.down(names)
    _say(f"stopped: {', '.join(stopped)}" if stopped else "nothing of ours was running")
    return 0


def _status(infra: Infra) -> int:
    """Return 0 when every server is up or given, else 1."""
    lines: list[tuple[str, str]] = []
    for name in infra.names:
        server = infra.server(name)
        process = server.process
        if process is not None:
            answer = "answers" if server.answers() else "does not answer"
            lines.append((name, f"up, port {server.port}, pid {process.pid}, {answer}; log: {server.log}"))
        else:
            lines.append((name, "given by the environment" if infra.given(name) else "down"))
    print("\n".join(f"{name:<11} {text}" for name, text in lines))
    return 1 if any(text == "down" for _, text in lines) else 0


def _print_env(values: Mapping[str, str], *, export: bool) -> None:
    for name, value in values.items():
        print(f"{'export ' if export else ''}{name}={shlex.quote(value)}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/infra",
        description="Real engines on 127.0.0.1, each with its own data and free ports, without a container engine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="folder of the servers' data (default .infra)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start servers, fetching what is missing, and print their settings")
    down = commands.add_parser("down", help="stop what `up` started; data stays")
    for command in (up, down):
        command.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names), choices=[*names, []])
    env = commands.add_parser("env", help="print the settings of what runs")
    for command in (up, env):
        command.add_argument("--export", action="store_true", help="print `export NAME=value`, for eval")
    commands.add_parser("status", help="say what runs, where, and whether it answers")
    return parser
