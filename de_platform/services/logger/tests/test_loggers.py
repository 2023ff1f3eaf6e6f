"""Each logger keeps the contract; the one for terminals also keeps its lines clean and its secrets in."""

import io
import json
from datetime import UTC, datetime

import pytest

from de_platform.services.logger.contract import LoggerContract, Unspeakable, Written
from de_platform.services.logger.level import Level
from de_platform.services.logger.memory_logger import LogEntry, MemoryLogger
from de_platform.services.logger.pretty_logger import LogFormat, PrettyLogger


class MemoryWritten(Written):
    def __init__(self, log: MemoryLogger) -> None:
        self._log = log

    def entries(self) -> list[LogEntry]:
        return self._log.entries


class TestMemoryLogger(LoggerContract):
    @pytest.fixture
    def log(self) -> MemoryLogger:
        return MemoryLogger()

    @pytest.fixture
    def written(self, log: MemoryLogger) -> Written:
        return MemoryWritten(log)


class JsonWritten(Written):
    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def entries(self) -> list[LogEntry]:
        found = []
        for line in self._stream.getvalue().splitlines():
            fields = json.loads(line)
            del fields["timestamp"]
            level, message = Level[fields.pop("level").upper()], fields.pop("event")
            found.append(LogEntry(level=level, message=message, fields=fields))
        return found


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


class TestJsonLines(LoggerContract):
    @pytest.fixture
    def log(self, stream: io.StringIO) -> PrettyLogger:
        return PrettyLogger(stream=stream, level=Level.DEBUG)

    @pytest.fixture
    def written(self, stream: io.StringIO) -> Written:
        return JsonWritten(stream)


def raised(message: str) -> ValueError:
    with pytest.raises(ValueError, match=message) as caught:
        raise ValueError(message)
    return caught.value


@pytest.fixture
def pretty(stream: io.StringIO) -> PrettyLogger:
    return PrettyLogger(stream=stream, log_format=LogFormat.PRETTY, secret_values=["hunter22"])


def test_pretty_entry_is_one_readable_line(pretty: PrettyLogger, stream: io.StringIO) -> None:
    pretty.info("rows stored", table="orders", rows=3)
    assert "rows stored" in stream.getvalue()
    assert "table=orders rows=3" in stream.getvalue()


@pytest.mark.parametrize("log_format", [LogFormat.PRETTY, LogFormat.JSON])
@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x00b"])
def test_no_value_breaks_a_line_or_drives_the_terminal(stream: io.StringIO, log_format: LogFormat, text: str) -> None:
    log = PrettyLogger(stream=stream, log_format=log_format)
    log.info(text, **{"value": text, "nested": [text], text: 1})
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_traceback_on_a_terminal_stands_behind_a_margin(pretty: PrettyLogger, stream: io.StringIO) -> None:
    pretty.error("failed", exc_info=raised("first\nsecond"))
    first, *rest = stream.getvalue().splitlines()
    assert "failed" in first
    assert rest
    assert all(line.startswith("    | ") for line in rest)


def test_traceback_in_json_is_one_field(stream: io.StringIO) -> None:
    PrettyLogger(stream=stream).error("failed", exc_info=raised("bad rate"))
    assert json.loads(stream.getvalue())["exception"].endswith("ValueError: bad rate")


@pytest.mark.parametrize("log_format", [LogFormat.PRETTY, LogFormat.JSON])
def test_secrets_are_masked(stream: io.StringIO, log_format: LogFormat) -> None:
    log = PrettyLogger(stream=stream, log_format=log_format, secret_values=["hunter22", ""])
    log.error(
        "login as hunter22",
        password="abc",
        nested={"api_key": "abc", "note": "it was hunter22"},
        url="postgresql://user:abc@host/db",
        error=ValueError("hunter22 refused"),
    )
    assert "hunter22" not in stream.getvalue()
    assert "abc" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_levels_below_the_chosen_one_are_left_out(stream: io.StringIO) -> None:
    log = PrettyLogger(stream=stream, level=Level.WARN)
    log.info("quiet")
    log.warn("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_fields_with_the_names_of_an_entry_do_not_replace_it(stream: io.StringIO) -> None:
    PrettyLogger(stream=stream).info("moved", event="order", level=3)
    entry = json.loads(stream.getvalue())
    assert (entry["event"], entry["event_"], entry["level"], entry["level_"]) == ("moved", "order", "info", 3)


def test_closed_stream_raises_nothing(stream: io.StringIO, pretty: PrettyLogger) -> None:
    stream.close()
    pretty.info("nobody listens")


@pytest.mark.parametrize("log_format", [LogFormat.PRETTY, LogFormat.JSON])
@pytest.mark.parametrize(
    "value", ["\ud800", object(), {1: b"x", (2, 3): {4}}, datetime(2026, 1, 1, tzinfo=UTC), Unspeakable()]
)
def test_odd_values_raise_nothing(stream: io.StringIO, log_format: LogFormat, value: object) -> None:
    PrettyLogger(stream=stream, log_format=log_format).info("odd", value=value)
    assert "odd" in stream.getvalue()
