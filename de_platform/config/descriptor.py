"""`module.json`: what a module is called, what it is, and which arguments it takes."""

import re
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import msgspec

from de_platform.config.decoding import decode_struct
from de_platform.pipeline.errors import FieldError, InvalidInput

ArgumentValue = Any
"""A JSON value: what a token or a default of an argument stands for."""

_MODULE_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_ARGUMENT_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class ModuleType(StrEnum):
    """How long a module runs: a job until it is done, the others until they are stopped."""

    JOB = "job"
    SERVICE = "service"
    WORKER = "worker"


class ArgumentType(StrEnum):
    """What the text of an argument stands for."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"


_PYTHON_TYPES: Mapping[ArgumentType, tuple[type, ...]] = {
    ArgumentType.STRING: (str,),
    ArgumentType.INTEGER: (int,),
    ArgumentType.NUMBER: (int, float),
    ArgumentType.BOOLEAN: (bool,),
    ArgumentType.JSON: (object,),
}


class ArgumentDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """One argument. One that is neither required nor has a default is None when it is not given."""

    name: str
    description: str
    type: ArgumentType
    required: bool = False
    default: ArgumentValue = None
    choices: tuple[ArgumentValue, ...] = ()


class ModuleDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A module as `module.json` describes it."""

    name: str
    display_name: str
    description: str
    version: str
    type: ModuleType
    args: tuple[ArgumentDescriptor, ...] = ()


class _RawDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    display_name: str
    description: str
    version: str
    type: ModuleType
    args: list[Any] = []


def parse_descriptor(text: bytes) -> ModuleDescriptor:
    """Decode and check a `module.json`. Raises InvalidInput with every fault, by dotted path."""
    try:
        raw: object = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidInput.single("", f"is not JSON: {error}") from error
    faults: list[FieldError] = []
    outer = decode_struct(raw, _RawDescriptor, at="", faults=faults)
    args = _arguments(raw, faults)
    if outer is not None:
        _check_module(outer, faults)
    for index, argument in args.items():
        _check_argument(argument, f"args[{index}]", faults)
    for name, count in Counter(argument.name for argument in args.values()).items():
        if count > 1:
            faults.append(FieldError("args", f"{name} is described {count} times"))
    if faults or outer is None:
        raise InvalidInput(faults)
    return ModuleDescriptor(
        name=outer.name,
        display_name=outer.display_name,
        description=outer.description,
        version=outer.version,
        type=outer.type,
        args=tuple(args.values()),
    )


def fits(value: ArgumentValue, kind: ArgumentType) -> bool:
    """Say whether a JSON value is of an argument's type; true is not an integer."""
    if isinstance(value, bool) and kind is not ArgumentType.JSON:
        return kind is ArgumentType.BOOLEAN
    return isinstance(value, _PYTHON_TYPES[kind])


def _arguments(raw: object, faults: list[FieldError]) -> dict[int, ArgumentDescriptor]:
    listed: object = cast(Mapping[str, object], raw).get("args") if isinstance(raw, Mapping) else None
    if not isinstance(listed, list):
        return {}
    decoded = {
        index: decode_struct(item, ArgumentDescriptor, at=f"args[{index}]", faults=faults)
        for index, item in enumerate(cast(list[object], listed))
    }
    return {index: argument for index, argument in decoded.items() if argument is not None}


def _check_module(module: _RawDescriptor, faults: list[FieldError]) -> None:
    if not _MODULE_NAME.fullmatch(module.name):
        faults.append(FieldError("name", f"must be like_this, was {module.name!r}"))
    if not _VERSION.fullmatch(module.version):
        faults.append(FieldError("version", f"must be like 1.2.3, was {module.version!r}"))
    faults.extend(
        FieldError(field, "must not be empty")
        for field, text in (("display_name", module.display_name), ("description", module.description))
        if not text.strip()
    )


def _check_argument(argument: ArgumentDescriptor, at: str, faults: list[FieldError]) -> None:
    if not _ARGUMENT_NAME.fullmatch(argument.name):
        faults.append(FieldError(f"{at}.name", f"must be like-this, was {argument.name!r}"))
    if argument.name.startswith("no-"):
        faults.append(FieldError(f"{at}.name", "must not begin with no-, which negates a boolean"))
    if not argument.description.strip():
        faults.append(FieldError(f"{at}.description", "must not be empty"))
    for choice in argument.choices:
        if not fits(choice, argument.type):
            faults.append(FieldError(f"{at}.choices", f"{choice!r} is not of type {argument.type}"))
    if argument.default is None:
        return
    if argument.required:
        faults.append(FieldError(f"{at}.default", "a required argument has no default"))
    if not fits(argument.default, argument.type):
        faults.append(FieldError(f"{at}.default", f"{argument.default!r} is not of type {argument.type}"))
    elif argument.choices and argument.default not in argument.choices:
        faults.append(FieldError(f"{at}.default", f"{argument.default!r} is not one of the choices"))
