"""Libraries log through our logger."""

import logging
from collections.abc import Iterator

import pytest

from de_platform.cli.library_logs import take_over_library_logs
from de_platform.services.logger.level import Level
from de_platform.services.logger.memory_logger import MemoryLogger


@pytest.fixture
def log() -> Iterator[MemoryLogger]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    log = MemoryLogger()
    take_over_library_logs(log)
    yield log
    root.handlers = handlers
    root.setLevel(level)


def test_warning_of_a_library_is_an_entry(log: MemoryLogger) -> None:
    logging.getLogger("psycopg.pool").warning("connection %s lost", 3)
    (entry,) = log.entries
    assert entry.level is Level.WARN
    assert entry.fields == {"library": "psycopg.pool", "said": "connection 3 lost"}


def test_chatter_of_a_library_is_left_out(log: MemoryLogger) -> None:
    logging.getLogger("urllib3").info("hello")
    assert log.entries == []
