"""`de-platform run <module>`: one module, with the flags of its descriptor and the global ones on one line."""

import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter

from de_platform.cli.apps import make_app
from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.global_flags import (
    GLOBAL_FLAG_NAMES,
    REPEATABLE_FLAGS,
    global_arguments,
    global_flags_from,
    surroundings,
)
from de_platform.config.arguments import parse_arguments, with_defaults
from de_platform.config.descriptor import ArgumentDescriptor, ArgumentType, ArgumentValue, ModuleDescriptor, ModuleType
from de_platform.pipeline.errors import InvalidInput

DEFAULT_HEALTH_PORT = 8080
HEALTH_PORT = ArgumentDescriptor(
    name="health-port",
    description="port of the health server of a service or worker; 0 takes any free one",
    type=ArgumentType.INTEGER,
    default=DEFAULT_HEALTH_PORT,
)
RESERVED_ARGUMENT_NAMES = GLOBAL_FLAG_NAMES | {HEALTH_PORT.name, "help"}
"""A module's arguments have other names than these."""

EXAMPLES = """Examples:

    de-platform run hello_world --name you
    de-platform run hello_world --help
    de-platform run currency_loader --rates-file eurofxref-hist.zip --data-dir ~/platform
    de-platform run normalizer --mq local --fs local --db postgres --db clickhouse --env-file pipeline.env
"""
_HELP = ("--help", "-h")

app = make_app("run", EXAMPLES, help_flags=())


@app.default
def run(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run one module: MODULE [flags]."""
    if not words or words[0] in _HELP:
        sys.stdout.write(f"{EXAMPLES}\nUsage: de-platform run MODULE [flags]\n\nMODULE is one of:\n")
        sys.stdout.writelines(f"    {name}\n" for name in ModuleCatalog().names())
        return 0
    name, *rest = words
    if name.startswith("-"):
        raise InvalidInput.single(name, "the module's name comes first: de-platform run MODULE [flags]")
    catalog = ModuleCatalog()
    descriptor = catalog.descriptor(name)
    if any(word in _HELP for word in rest):
        sys.stdout.write(describe(descriptor))
        return 0
    return _run(catalog, descriptor, rest)


def describe(module: ModuleDescriptor) -> str:
    """Return the help text of a module: what it is, an example, its arguments, the global flags."""
    needed = [argument for argument in module.args if argument.required]
    example = " ".join([f"de-platform run {module.name}", *(f"--{a.name} {_placeholder(a)}" for a in needed)])
    parts = [
        f"Example:\n\n    {example}\n",
        f"{module.display_name} {module.version} ({module.type})\n\n{module.description}\n",
    ]
    if module.args:
        parts.append("Arguments:\n\n" + _listing(module.args))
    parts.append("Global flags:\n\n" + _listing((*global_arguments(), HEALTH_PORT)))
    return "\n".join(parts)


def _run(catalog: ModuleCatalog, descriptor: ModuleDescriptor, words: Sequence[str]) -> int:
    from de_platform.cli.runner import HealthOptions, module_run, run_event_loop, run_process  # noqa: PLC0415 - slow

    arguments = (*global_arguments(), HEALTH_PORT, *descriptor.args)
    parsed = parse_arguments(words, arguments, repeatable=REPEATABLE_FLAGS)
    around = surroundings(global_flags_from(parsed))
    values = with_defaults(parsed, descriptor.args)
    health = None
    if descriptor.type is not ModuleType.JOB:
        port = with_defaults(parsed, [HEALTH_PORT])[HEALTH_PORT.name]
        health = HealthOptions(host=around.settings["DE_PLATFORM_BIND_HOST"], port=port)
    return run_event_loop(run_process([module_run(catalog, descriptor.name, values)], around, health))


def _listing(arguments: Sequence[ArgumentDescriptor]) -> str:
    heads = [f"--{a.name} {_placeholder(a)}".rstrip() for a in arguments]
    width = max(map(len, heads))
    lines = [f"    {head:<{width}}  {a.description}{_notes(a)}\n" for head, a in zip(heads, arguments, strict=True)]
    return "".join(lines)


def _placeholder(argument: ArgumentDescriptor) -> str:
    match argument.type:
        case ArgumentType.BOOLEAN:
            return ""
        case ArgumentType.JSON:
            return "JSON"
        case ArgumentType.INTEGER | ArgumentType.NUMBER:
            return "N"
        case ArgumentType.STRING:
            return argument.name.rpartition("-")[2].upper()


def _notes(argument: ArgumentDescriptor) -> str:
    notes = ["required"] if argument.required else []
    if argument.choices:
        notes.append("one of " + ", ".join(str(choice) for choice in argument.choices))
    if argument.default is not None:
        notes.append(f"default {_shown(argument.default)}")
    return f" ({'; '.join(notes)})" if notes else ""


def _shown(default: ArgumentValue) -> str:
    return default if isinstance(default, str) else msgspec.json.encode(default).decode()
