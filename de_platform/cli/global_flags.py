"""Flags that every command about a running pipeline takes: which services, which settings."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_type_hints

import msgspec
from cyclopts import Parameter

from de_platform.cli.choices import Choices, parse_databases
from de_platform.cli.instance import read_instance
from de_platform.config.arguments import Arguments
from de_platform.config.descriptor import ArgumentDescriptor, ArgumentType
from de_platform.config.settings import Origin, Settings, Source, read_env_file, read_env_json
from de_platform.services.registry import IMPLEMENTATIONS, ServiceFlag


def _names(flag: ServiceFlag) -> str:
    return " | ".join(IMPLEMENTATIONS[flag])


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GlobalFlags:
    """Parsed global flags. `data_dir` makes a command use the platform that runs there."""

    db: Annotated[
        tuple[str, ...],
        Parameter(help=f"database: {_names(ServiceFlag.DB)}, also name=implementation; repeatable", negative=()),
    ] = ()
    fs: Annotated[str | None, Parameter(help=f"file system: {_names(ServiceFlag.FS)}")] = None
    cache: Annotated[str | None, Parameter(help=f"cache: {_names(ServiceFlag.CACHE)}")] = None
    mq: Annotated[str | None, Parameter(help=f"message queue: {_names(ServiceFlag.MQ)}")] = None
    metrics: Annotated[str | None, Parameter(help=f"metrics: {_names(ServiceFlag.METRICS)} (default noop)")] = None
    log: Annotated[str | None, Parameter(help=f"logger: {_names(ServiceFlag.LOG)} (default pretty)")] = None
    env_file: Annotated[str | None, Parameter(help="file of NAME=value lines, over the environment")] = None
    env: Annotated[str | None, Parameter(help="JSON object of settings, over the environment and the file")] = None
    data_dir: Annotated[str | None, Parameter(help="use the platform that `up` runs on this directory")] = None


GLOBAL_FLAG_NAMES = frozenset(field.name.replace("_", "-") for field in dataclasses.fields(GlobalFlags))
REPEATABLE_FLAGS = frozenset({"db"})


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a command works with: implementations and settings."""

    choices: Choices
    settings: Settings


def global_arguments() -> tuple[ArgumentDescriptor, ...]:
    """Describe the flags in the way of a module's arguments, so that both are read from one line."""
    hints = get_type_hints(GlobalFlags, include_extras=True)
    return tuple(
        ArgumentDescriptor(
            name=field.name.replace("_", "-"), description=_help(hints[field.name]), type=ArgumentType.STRING
        )
        for field in dataclasses.fields(GlobalFlags)
    )


def global_flags_from(parsed: Arguments) -> GlobalFlags:
    """Collect the flags from a line that was read with `global_arguments`."""
    single = {
        field.name: parsed.last(field.name.replace("_", "-"))
        for field in dataclasses.fields(GlobalFlags)
        if field.name not in REPEATABLE_FLAGS
    }
    return GlobalFlags(db=tuple(parsed.given.get("db", ())), **single)


def surroundings(
    flags: GlobalFlags,
    *,
    environ: Mapping[str, str] | None = None,
    flag_values: Mapping[str, str] | None = None,
    find_instance: bool = True,
) -> Surroundings:
    """Work out implementations and settings. Explicit flags win over those of a running platform.

    `flag_values` are settings that a command has flags of its own for, by setting name.
    `find_instance` False reads settings only, for commands that start a platform or do without one.
    Raises InvalidInput with every fault, and Unavailable when no platform runs on `data_dir`.
    """
    choices = Choices(
        mq=flags.mq, db=parse_databases(flags.db), fs=flags.fs, cache=flags.cache, metrics=flags.metrics, log=flags.log
    )
    choices.check()
    sources = [Source(origin=Origin.ENVIRONMENT, values=os.environ if environ is None else environ)]
    if flags.data_dir is not None and find_instance:
        instance = read_instance(Path(flags.data_dir).absolute())
        choices = choices.over(instance.choices)
        sources.append(Source(origin=Origin.INSTANCE, values=instance.environment, source=flags.data_dir))
    if flags.env_file is not None:
        file = Path(flags.env_file)
        sources.append(Source(origin=Origin.ENV_FILE, values=read_env_file(file), source=flags.env_file))
    if flags.env is not None:
        sources.append(Source(origin=Origin.ENV_JSON, values=read_env_json(flags.env)))
    if flags.data_dir is not None:
        values = {"DE_PLATFORM_DATA_DIR": str(Path(flags.data_dir).absolute())}
        sources.append(Source(origin=Origin.FLAG, values=values, source="--data-dir"))
    if flag_values:
        sources.append(Source(origin=Origin.FLAG, values=flag_values))
    return Surroundings(choices=choices, settings=Settings.resolve(*sources))


def _help(hint: object) -> str:
    (parameter,) = (extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Parameter))
    return parameter.help or ""
