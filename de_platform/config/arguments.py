"""From the tokens of a command line to typed values, as descriptors say."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from de_platform.config.decoding import decode_struct
from de_platform.config.descriptor import ArgumentDescriptor, ArgumentType, ArgumentValue, fits
from de_platform.config.suggestions import suggestion
from de_platform.pipeline.errors import FieldError, InvalidInput

StructType = TypeVar("StructType", bound=msgspec.Struct)

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False}


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line says."""

    given: Mapping[str, Sequence[ArgumentValue]]
    """Typed values by argument name, in order; several only where an argument may be repeated."""

    def last(self, name: str) -> ArgumentValue:
        """Return the value given for an argument, or None."""
        values = self.given.get(name)
        return values[-1] if values else None


def parse_arguments(
    tokens: Sequence[str], arguments: Sequence[ArgumentDescriptor], *, repeatable: frozenset[str] = frozenset()
) -> Arguments:
    """Read `--name value`, `--name=value`, `--flag` and `--no-flag`. Raises InvalidInput with every fault."""
    reading = _Reading(arguments, repeatable)
    rest = list(tokens)
    while rest:
        reading.take(rest)
    reading.check_required()
    if reading.faults:
        raise InvalidInput(reading.faults)
    return Arguments(given=reading.given)


def with_defaults(parsed: Arguments, arguments: Sequence[ArgumentDescriptor]) -> dict[str, ArgumentValue]:
    """Return a value for every argument: the one given, or the default, or None."""
    return {a.name: parsed.last(a.name) if a.name in parsed.given else a.default for a in arguments}


def check_values(given: Mapping[str, ArgumentValue], arguments: Sequence[ArgumentDescriptor], *, at: str) -> None:
    """Check JSON values given by argument name, as a setting has them. Raises InvalidInput with every fault."""
    known = {argument.name: argument for argument in arguments}
    faults: list[FieldError] = []
    for name, value in given.items():
        argument = known.get(name)
        if argument is None:
            faults.append(FieldError(f"{at}.{name}", f"unknown argument; {suggestion(name, known)}"))
        elif not fits(value, argument.type):
            faults.append(FieldError(f"{at}.{name}", f"{value!r} is not of type {argument.type}"))
        elif argument.choices and value not in argument.choices:
            faults.append(FieldError(f"{at}.{name}", f"{value!r} is not one of the choices"))
    faults.extend(
        FieldError(f"{at}.{argument.name}", f"is required: {argument.description}")
        for argument in arguments
        if argument.required and argument.name not in given
    )
    if faults:
        raise InvalidInput(faults)


def settings_from(values: Mapping[str, ArgumentValue], settings: type[StructType]) -> StructType:
    """Build a module's settings struct. Raises InvalidInput with every value that the struct refuses."""
    faults: list[FieldError] = []
    built = decode_struct(values, settings, at="", faults=faults)
    if built is None:
        raise InvalidInput([FieldError(f"--{fault.field}", fault.message) for fault in faults])
    return built


class _Reading:
    def __init__(self, arguments: Sequence[ArgumentDescriptor], repeatable: frozenset[str]) -> None:
        self._arguments = {argument.name: argument for argument in arguments}
        assert len(self._arguments) == len(arguments), "two arguments share a name"
        self._repeatable = repeatable
        self._seen: set[str] = set()
        self.given: dict[str, list[ArgumentValue]] = {}
        self.faults: list[FieldError] = []

    def take(self, rest: list[str]) -> None:
        """Read one argument off the front of `rest`."""
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            self.faults.append(FieldError(word, "unexpected; arguments are given as --name value"))
            return
        name, equals, inline = word[2:].partition("=")
        argument = self._arguments.get(name)
        if argument is None:
            if self._take_negated(name, is_bare=not equals) is None and rest and not rest[0].startswith("--"):
                rest.pop(0)
            return
        self._seen.add(name)
        if equals:
            self._keep(argument, inline)
        elif argument.type is ArgumentType.BOOLEAN:
            self._keep(argument, rest.pop(0) if rest and rest[0] in _BOOLEANS else "true")
        elif rest and not rest[0].startswith("--"):
            self._keep(argument, rest.pop(0))
        else:
            self.faults.append(FieldError(f"--{name}", f"needs a value: {argument.description}"))

    def check_required(self) -> None:
        """Note required arguments that were not given at all."""
        for argument in self._arguments.values():
            if argument.required and argument.name not in self._seen:
                self.faults.append(FieldError(f"--{argument.name}", f"is required: {argument.description}"))

    def _take_negated(self, name: str, *, is_bare: bool) -> ArgumentDescriptor | None:
        positive = self._arguments.get(name.removeprefix("no-"))
        if is_bare and positive is not None and positive.type is ArgumentType.BOOLEAN:
            self._seen.add(positive.name)
            self._keep(positive, "false")
            return positive
        flags = [f"--{known}" for known in self._arguments]
        self.faults.append(FieldError(f"--{name}", f"unknown flag; {suggestion(f'--{name}', flags)}"))
        return None

    def _keep(self, argument: ArgumentDescriptor, text: str) -> None:
        flag = f"--{argument.name}"
        try:
            value = _value(text, argument.type)
        except ValueError as error:
            self.faults.append(FieldError(flag, str(error)))
            return
        if argument.choices and value not in argument.choices:
            choices = [str(choice) for choice in argument.choices]
            self.faults.append(FieldError(flag, f"{text!r} is not a choice; {suggestion(text, choices)}"))
            return
        values = self.given.setdefault(argument.name, [])
        if values and argument.name not in self._repeatable:
            self.faults.append(FieldError(flag, "is given more than once"))
        values.append(value)


def _value(text: str, kind: ArgumentType) -> ArgumentValue:
    """Return the value a text stands for. Raises ValueError that says what it must be."""
    match kind:
        case ArgumentType.STRING:
            return text
        case ArgumentType.INTEGER:
            if not _INTEGER.fullmatch(text):
                raise ValueError(f"must be a whole number, was {text!r}")
            return int(text)
        case ArgumentType.NUMBER:
            if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
                raise ValueError(f"must be a number, was {text!r}")
            return float(text)
        case ArgumentType.BOOLEAN:
            if text not in _BOOLEANS:
                raise ValueError(f"must be true or false, was {text!r}")
            return _BOOLEANS[text]
        case ArgumentType.JSON:
            try:
                return msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ValueError(f"must be JSON: {error}") from error
