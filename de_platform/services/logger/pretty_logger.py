"""Log entries on standard error: coloured lines for a terminal, JSON lines for everything else."""

import copy
import json
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, TextIO

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback

from de_platform.config.masking import Masking
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.logger.level import Level


class LogFormat(StrEnum):
    """What a line looks like."""

    AUTO = "auto"
    PRETTY = "pretty"
    JSON = "json"


_RESERVED = frozenset({"event", "level", "timestamp", "exception", "message", "method_name", "self"})
_EXCEPTION_MARGIN = "    | "


class PrettyLogger(LoggingInterface):
    """One entry is one line; only a traceback on a terminal takes more, behind a margin no value can imitate.

    Values of secret fields and known secret values are masked. A stream that is gone is no error.
    """

    def __init__(
        self,
        *,
        stream: TextIO | None = None,
        log_format: LogFormat = LogFormat.AUTO,
        level: Level = Level.INFO,
        secret_values: Iterable[str] = (),
    ) -> None:
        target = stream or sys.stderr
        pretty = log_format is LogFormat.PRETTY or (log_format is LogFormat.AUTO and target.isatty())
        self._level = level
        self._pretty = pretty
        self._masking = Masking(secret_values)
        self._bound: Mapping[str, object] = {}
        self._lines = structlog.WriteLogger(target)
        self._render = ConsoleRenderer(
            colors=target.isatty(), sort_keys=False, pad_event_to=0, exception_formatter=plain_traceback
        )

    def debug(self, message: str, **fields: object) -> None:
        self._write(Level.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        self._write(Level.INFO, message, fields)

    def warn(self, message: str, **fields: object) -> None:
        self._write(Level.WARN, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write(Level.ERROR, message, fields)

    def critical(self, message: str, **fields: object) -> None:
        self._write(Level.CRITICAL, message, fields)

    def bind(self, **fields: object) -> LoggingInterface:
        bound = copy.copy(self)
        bound._bound = {**self._bound, **fields}
        return bound

    async def close(self) -> None: ...

    def _write(self, level: Level, message: str, fields: Mapping[str, object]) -> None:
        if level < self._level:
            return
        entry = self._entry(level, message, {**self._bound, **fields})
        line = self._pretty_line(level, entry) if self._pretty else _json_line(entry)
        with suppress(OSError, ValueError):  # the stream was closed: nobody is left to tell
            self._lines.msg(line)

    def _entry(self, level: Level, message: str, fields: Mapping[str, object]) -> dict[str, Any]:
        entry: dict[str, Any] = {"level": level.name.lower(), "event": self._masking.text(message)}
        entry = dict(structlog.processors.TimeStamper(fmt="iso", utc=True)(None, "", entry))
        for name, value in fields.items():
            if name == "exc_info" and isinstance(value, BaseException):
                entry["exception"] = self._masking.text("".join(traceback.format_exception(value)).rstrip())
            else:
                entry[f"{name}_" if name in _RESERVED else name] = self._masking.field(name, value)
        return entry

    def _pretty_line(self, level: Level, entry: MutableMapping[str, Any]) -> str:
        exception = entry.pop("exception", None)
        printable = {_one_line(key): _one_line(value) for key, value in entry.items()}
        line = self._render(None, level.name.lower(), printable)
        if exception is None:
            return line
        return "\n".join([line, *(f"{_EXCEPTION_MARGIN}{_one_line(part)}" for part in exception.splitlines())])


def _one_line(value: object) -> str:
    """Return text without line breaks or control sequences, which could forge entries or drive a terminal."""
    text = value if isinstance(value, str) else repr(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _json_line(entry: Mapping[str, object]) -> str:
    return json.dumps(entry, default=repr)
