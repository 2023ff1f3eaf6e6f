"""What can be tuned on an algorithm: one schema that drives validation, documentation and forms."""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput

ParameterValue: TypeAlias = Decimal | int | tuple[str, ...]
Parameters: TypeAlias = Mapping[str, ParameterValue]
"""Validated values by parameter name, complete: what was not given has its default."""

MAX_MAGNITUDE = 18
MAX_LIST_LENGTH = 10_000
MAX_TEXT_LENGTH = 256


class ParameterKind(StrEnum):
    """How a value is written and compared."""

    DECIMAL = "decimal"
    INTEGER = "integer"
    TEXTS = "texts"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One number or list that a tenant may set. `minimum` and `maximum` are inclusive."""

    name: str
    kind: ParameterKind
    default: ParameterValue
    description: str
    source: str
    """Where the default comes from. Regulators publish no numbers, so every one is a starting point."""
    unit: str = ""
    minimum: Decimal | int | None = None
    maximum: Decimal | int | None = None

    def parse(self, value: object) -> ParameterValue:
        """Read a value as it stands in a configuration. Raises ValueError with a message for a person."""
        match self.kind:
            case ParameterKind.INTEGER:
                return self._in_range(_integer(value))
            case ParameterKind.DECIMAL:
                return self._in_range(_decimal(value))
            case ParameterKind.TEXTS:
                return _texts(value)

    def _in_range(self, value: Decimal | int) -> Decimal | int:
        if self.minimum is not None and value < self.minimum:
            raise ValueError(f"must be at least {self.minimum}, was {value}")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"must be at most {self.maximum}, was {value}")
        return value


class ParameterSchema(msgspec.Struct, frozen=True):
    """All parameters of an algorithm."""

    parameters: tuple[Parameter, ...] = ()

    def validated(self, values: Mapping[str, object]) -> Parameters:
        """Return a complete set of parameters. Raises InvalidInput that names every fault at once."""
        by_name = {p.name: p for p in self.parameters}
        faults = [FieldError(name, _unknown(name, by_name)) for name in values if name not in by_name]
        complete: dict[str, ParameterValue] = {}
        for parameter in self.parameters:
            try:
                complete[parameter.name] = parameter.parse(values.get(parameter.name, parameter.default))
            except ValueError as error:
                faults.append(FieldError(parameter.name, str(error)))
        if faults:
            raise InvalidInput(faults)
        return complete


def _unknown(name: str, known: Mapping[str, Parameter]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"is no parameter of this algorithm{hint}"


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, was {value!r}")  # noqa: TRY004 - a fault of data, reported as such
    return value


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"must be a number, was {value!r}")  # noqa: TRY004 - a fault of data, reported as such
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise ValueError(f"must be a number, was {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"must be finite, was {value!r}")
    if number and abs(number.adjusted()) > MAX_MAGNITUDE:
        raise ValueError(f"must have at most {MAX_MAGNITUDE} digits before and after the point")
    return number


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    items = tuple(sorted({str(item).strip() for item in value}))
    if "" in items:
        raise ValueError("must not contain an empty text")
    if any(len(item) > MAX_TEXT_LENGTH for item in items):
        raise ValueError(f"must not contain a text longer than {MAX_TEXT_LENGTH} characters")
    if len(items) > MAX_LIST_LENGTH:
        raise ValueError(f"must have at most {MAX_LIST_LENGTH} entries, has {len(items)}")
    return items
