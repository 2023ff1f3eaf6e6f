"""How urgent a log entry is."""

from enum import IntEnum


class Level(IntEnum):
    """Levels, least urgent first; the numbers are those of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    CRITICAL = 50
