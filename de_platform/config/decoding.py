"""From decoded JSON to structs, naming every fault instead of the first."""

from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec

from de_platform.config.suggestions import suggestion
from de_platform.pipeline.errors import FieldError

StructType = TypeVar("StructType", bound=msgspec.Struct)


def decode_struct(raw: object, struct: type[StructType], *, at: str, faults: list[FieldError]) -> StructType | None:
    """Return `raw` as a struct; None when it has faults, which are then appended to `faults`.

    `at` is the dotted path of `raw` itself, empty at the top.
    """
    if not isinstance(raw, Mapping):
        faults.append(FieldError(at, f"must be an object, was {type(raw).__name__}"))
        return None
    given = cast(Mapping[str, object], raw)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    found: list[FieldError] = [
        FieldError(_path(at, name), f"unknown; {suggestion(name, fields)}") for name in given if name not in fields
    ]
    values: dict[str, object] = {}
    for name, field in fields.items():
        if name in given:
            try:
                values[field.name] = msgspec.convert(given[name], field.type)
            except msgspec.ValidationError as error:
                found.append(FieldError(_path(at, name), _message(error)))
        elif field.required:
            found.append(FieldError(_path(at, name), "is missing"))
    faults.extend(found)
    return None if found else struct(**values)


def _path(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _message(error: msgspec.ValidationError) -> str:
    text, _, where = str(error).partition(" - at `$")
    inside = where.rstrip("`")
    return f"{text} at {inside}" if inside else text
