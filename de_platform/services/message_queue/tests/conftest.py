"""Time for the queues under test."""

from collections.abc import Awaitable, Callable

import pytest

from de_platform.services.clock.memory_clock import MemoryClock


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def hours_pass(clock: MemoryClock) -> Callable[[float], Awaitable[None]]:
    async def passes(hours: float) -> None:
        clock.advance(hours * 3600)

    return passes


@pytest.fixture
def session_passes(clock: MemoryClock) -> Callable[[], Awaitable[None]]:
    async def passes() -> None:
        clock.advance(60)

    return passes
