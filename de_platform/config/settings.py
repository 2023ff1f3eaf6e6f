"""The settings of a process, each with where it came from."""

import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from de_platform.config.masking import MASK, Masking, is_secret_name
from de_platform.config.setting_specs import (
    OWN_PREFIX,
    SETTING_BY_NAME,
    SETTINGS,
    TEST_PREFIX,
    SettingSpec,
    SettingType,
    spec_of,
)
from de_platform.config.suggestions import suggestion
from de_platform.pipeline.errors import FieldError, InvalidInput


class Origin(StrEnum):
    """Where a value came from; later ones win."""

    DEFAULT = "default"
    INSTANCE = "running instance"
    ENVIRONMENT = "environment"
    ENV_FILE = "env file"
    ENV_JSON = "--env"
    FLAG = "flag"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value in force."""

    name: str
    value: str
    origin: Origin
    source: str
    """The origin in detail: which file, which flag."""
    is_secret: bool

    def shown(self) -> str:
        """Return the value as people may see it."""
        return MASK if self.is_secret and self.value else Masking().text(self.value)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Values from one place."""

    origin: Origin
    values: Mapping[str, str]
    source: str = ""


class Settings:
    """Names to values. Declared settings always have one, if only their default."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = dict(settings)

    @classmethod
    def resolve(cls, *sources: Source) -> "Settings":
        """Lay sources over the defaults, later ones over earlier ones.

        Raises InvalidInput with every value that does not fit and every unknown name of ours.
        """
        settings = {spec.name: _setting(spec.name, spec.default, Origin.DEFAULT, "") for spec in SETTINGS}
        faults: list[FieldError] = []
        for source in sources:
            for name, value in source.values.items():
                spec = spec_of(name)
                if spec is None and name.startswith(OWN_PREFIX) and not name.startswith(TEST_PREFIX):
                    faults.append(FieldError(name, f"unknown setting; {suggestion(name, SETTING_BY_NAME)}"))
                elif spec is not None and (fault := _fault(spec, value)):
                    faults.append(FieldError(name, f"{fault} ({source.source or source.origin})"))
                settings[name] = _setting(name, value, source.origin, source.source)
        if faults:
            raise InvalidInput(faults)
        return cls(settings)

    def __getitem__(self, name: str) -> str:
        return self._settings[name].value

    def get(self, name: str) -> str | None:
        """Return a value, or None when it is not set or empty."""
        setting = self._settings.get(name)
        return setting.value or None if setting else None

    def whole_number(self, name: str) -> int:
        """Return a setting of that type."""
        return int(self[name])

    def seconds(self, name: str) -> float:
        """Return a setting of that type."""
        return float(self[name])

    def names(self, name: str) -> tuple[str, ...]:
        """Return a setting of that type; blanks around commas do not count."""
        return tuple(part.strip() for part in self[name].split(",") if part.strip())

    def objects(self, name: str) -> dict[str, dict[str, Any]]:
        """Return a setting of that type."""
        return _objects(self[name]) or {}

    def as_environ(self) -> dict[str, str]:
        """Return all values that are set, for secrets and for the environment of a child process."""
        return {name: setting.value for name, setting in self._settings.items() if setting.value}

    def secret_values(self) -> list[str]:
        """Return the values that must never be shown."""
        return [setting.value for setting in self._settings.values() if setting.is_secret and setting.value]

    def listing(self) -> list[Setting]:
        """Return what this platform declares, sorted by name; other environment variables are nobody's business."""
        return sorted((s for s in self._settings.values() if spec_of(s.name)), key=lambda setting: setting.name)


def read_env_file(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; `#` begins a comment line, quotes around a value are dropped, `export` is allowed.

    Raises InvalidInput with every line that is none of these, and when there is no such file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.single("--env-file", f"{path} cannot be read: {error}") from error
    values: dict[str, str] = {}
    faults: list[FieldError] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").lstrip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name.replace("_", "a").isalnum() or not name.isascii():
            faults.append(FieldError("--env-file", f"{path} line {number}: must be NAME=value"))
        elif len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            values[name] = value[1:-1]
        else:
            values[name] = value
    if faults:
        raise InvalidInput(faults)
    return values


def read_env_json(text: str) -> dict[str, str]:
    """Read the JSON object of `--env`; numbers and booleans become their text. Raises InvalidInput."""
    try:
        values = msgspec.json.decode(text, type=dict[str, str | int | float | bool])
    except msgspec.MsgspecError as error:
        raise InvalidInput.single("--env", f"must be a JSON object of names and values: {error}") from error
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in values.items()
    }


def _setting(name: str, value: str, origin: Origin, source: str) -> Setting:
    spec = spec_of(name)
    is_secret = spec.is_secret if spec else is_secret_name(name)
    return Setting(name=name, value=value, origin=origin, source=source, is_secret=is_secret)


def _fault(spec: SettingSpec, value: str) -> str | None:
    match spec.type:
        case SettingType.WHOLE_NUMBER if value:
            return None if value.isascii() and value.isdigit() else f"must be a whole number, was {value!r}"
        case SettingType.SECONDS:
            return None if _is_duration(value) else f"must be a number of seconds, was {value!r}"
        case SettingType.OBJECTS:
            return None if _objects(value) is not None else "must be a JSON object of objects"
        case SettingType.CHOICE if value not in spec.choices:
            return f"{value!r} is not a choice; {suggestion(value, spec.choices)}"
        case _:
            return None


def _objects(value: str) -> dict[str, dict[str, Any]] | None:
    try:
        return msgspec.json.decode(value, type=dict[str, dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _is_duration(value: str) -> bool:
    try:
        return math.isfinite(float(value)) and float(value) >= 0
    except ValueError:
        return False
