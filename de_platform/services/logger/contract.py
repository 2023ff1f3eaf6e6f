"""What every implementation of LoggingInterface does."""

from abc import ABC, abstractmethod

import pytest

from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.logger.memory_logger import LogEntry


class Written(ABC):
    """How a test reads an implementation back."""

    @abstractmethod
    def entries(self) -> list[LogEntry]:
        """Return what was written so far."""


class Unspeakable:
    """A value whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class LoggerContract:
    """Subclasses provide `log`, taking every level, and `written`, reading the same."""

    @pytest.mark.parametrize("level", ["debug", "info", "warn", "error", "critical"])
    def test_entry_has_its_level_message_and_fields(self, log: LoggingInterface, written: Written, level: str) -> None:
        getattr(log, level)("rows stored", table="orders", rows=3)
        (entry,) = written.entries()
        assert entry.level.name.lower() == level
        assert entry.message == "rows stored"
        assert entry.fields == {"table": "orders", "rows": 3}

    def test_entries_keep_their_order(self, log: LoggingInterface, written: Written) -> None:
        log.info("first")
        log.error("second")
        assert [entry.message for entry in written.entries()] == ["first", "second"]

    def test_bound_fields_are_on_every_entry(self, log: LoggingInterface, written: Written) -> None:
        bound = log.bind(service="algos").bind(tenant_id="acme")
        bound.info("window closed", events=4)
        assert written.entries()[0].fields == {"service": "algos", "tenant_id": "acme", "events": 4}

    def test_binding_leaves_the_logger_as_it_was(self, log: LoggingInterface, written: Written) -> None:
        log.bind(service="algos")
        log.info("started")
        assert written.entries()[0].fields == {}

    def test_a_field_of_the_entry_wins_over_a_bound_one(self, log: LoggingInterface, written: Written) -> None:
        log.bind(stage="intake").info("moved", stage="normalizer")
        assert written.entries()[0].fields == {"stage": "normalizer"}

    async def test_closing_twice_is_harmless(self, log: LoggingInterface) -> None:
        await log.close()
        await log.close()
