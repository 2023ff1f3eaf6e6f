"""What libraries log goes the way of our own entries: one line each, secrets masked."""

import logging

from de_platform.services.logger.interface import LoggingInterface


def take_over_library_logs(log: LoggingInterface) -> None:
    """Send Python's own logging to `log`, instead of raw text to standard error.

    A library's warning is an entry for debugging: what it means to us is an exception that we report.
    """
    root = logging.getLogger()
    root.handlers = [_Handler(log)]
    root.setLevel(logging.WARNING)


class _Handler(logging.Handler):
    def __init__(self, log: LoggingInterface) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        write = self._log.error if record.levelno >= logging.ERROR else self._log.debug
        error = record.exc_info[1] if record.exc_info else None
        fields = {} if error is None else {"exc_info": error}
        write("library", library=record.name, said=record.getMessage(), **fields)
