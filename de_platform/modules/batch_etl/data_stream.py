"""A lazy stream: nothing runs until it is iterated, order is kept, and at most a window of items is in memory."""

import asyncio
import multiprocessing
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import aclosing
from enum import StrEnum
from typing import Generic, TypeVar

from de_platform.pipeline.errors import FieldError, InvalidInput, Unavailable

T = TypeVar("T")
R = TypeVar("R")

SHOWN_ITEM_CHARS = 500


class Method(StrEnum):
    """How a step runs."""

    INLINE = "inline"
    """One item at a time, on the event loop."""
    CONCURRENT = "concurrent"
    """Several at once: coroutines as tasks, functions in threads."""
    PARALLEL = "parallel"
    """Several at once in spawned processes; functions only, and they and the items must be picklable."""


class ItemFailed(Exception):
    """A step raised for one item (or the source for the next, which is None then); the cause is chained."""

    def __init__(self, step: str, index: int, item: object) -> None:
        self.step = step
        self.index = index
        self.item = item
        super().__init__(f"{step} failed for item {index}: {repr(item)[:SHOWN_ITEM_CHARS]}")


class DataStream(Generic[T]):
    """Items one after the other. A stream is iterated once.

    What a step raises stops the stream: Unavailable passes, InvalidInput passes with the place added,
    anything else becomes the cause of ItemFailed.
    """

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items

    @classmethod
    def of(cls, items: Iterable[T], name: str = "source") -> "DataStream[T]":
        """Stream what an iterable yields, as it yields it."""
        return cls(_stream(items, name))

    def __aiter__(self) -> AsyncIterator[T]:
        return self._items

    async def aclose(self) -> None:
        """Give up the rest: sources are closed and workers stopped. Needed only where iteration was cut short."""
        await self._items.aclose()

    def map(self, name: str, step: Callable[[T], R]) -> "DataStream[R]":
        """Apply a function to each item, inline."""
        return DataStream(_map_inline(self._items, name, step))

    def map_async(self, name: str, step: Callable[[T], Awaitable[R]], *, workers: int = 1) -> "DataStream[R]":
        """Await a coroutine for each item, at most `workers` at once, results in order of the items."""

        async def call(item: T) -> R:
            return await step(item)

        return DataStream(_map_ahead(self._items, name, lambda item: asyncio.create_task(call(item)), workers))

    def map_in_threads(self, name: str, step: Callable[[T], R], *, workers: int) -> "DataStream[R]":
        """Apply a function in threads, at most `workers` items at once, results in order of the items."""
        return DataStream(_map_in_pool(self._items, name, step, lambda: ThreadPoolExecutor(workers), workers))

    def map_in_processes(
        self, name: str, step: Callable[[T], R], *, workers: int, initializer: Callable[[], None] | None = None
    ) -> "DataStream[R]":
        """Apply a picklable function in spawned processes, each set up by `initializer`, results in order."""

        def pool() -> Executor:
            spawn = multiprocessing.get_context("spawn")
            return ProcessPoolExecutor(workers, mp_context=spawn, initializer=initializer)

        return DataStream(_map_in_pool(self._items, name, step, pool, workers))

    def without_none(self: "DataStream[R | None]") -> "DataStream[R]":
        """Drop items that are None."""
        return DataStream(_without_none(self._items))

    def batches(self, size: int) -> "DataStream[list[T]]":
        """Group items; the last batch may be smaller, none is empty."""
        return DataStream(_batches(self._items, size))


async def _stream(items: Iterable[T], name: str) -> AsyncGenerator[T, None]:
    index = 0
    iterator = iter(items)
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise _failure(name, index, None, error) from error
        yield item
        index += 1


async def _map_inline(items: AsyncGenerator[T, None], name: str, step: Callable[[T], R]) -> AsyncGenerator[R, None]:
    index = 0
    async with aclosing(items):
        async for item in items:
            try:
                result = step(item)
            except Exception as error:
                raise _failure(name, index, item, error) from error
            yield result
            index += 1


async def _map_in_pool(
    items: AsyncGenerator[T, None], name: str, step: Callable[[T], R], make_pool: Callable[[], Executor], workers: int
) -> AsyncGenerator[R, None]:
    loop = asyncio.get_running_loop()
    pool = make_pool()
    try:
        async with aclosing(
            _map_ahead(items, name, lambda item: loop.run_in_executor(pool, step, item), workers)
        ) as results:
            async for result in results:
                yield result
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)


async def _map_ahead(
    items: AsyncGenerator[T, None], name: str, start: Callable[[T], asyncio.Future[R]], workers: int
) -> AsyncGenerator[R, None]:
    """Keep `workers` items in work and hand out the results in order; the first failure stops everything."""
    window: deque[tuple[int, T, asyncio.Future[R]]] = deque()
    index = 0
    try:
        async with aclosing(items):
            async for item in items:
                window.append((index, item, start(item)))
                index += 1
                if len(window) >= workers:
                    yield await _result(name, *window.popleft())
            while window:
                yield await _result(name, *window.popleft())
    finally:
        for _, _, future in window:
            future.cancel()
        await asyncio.gather(*(future for _, _, future in window), return_exceptions=True)


async def _result(name: str, index: int, item: object, future: asyncio.Future[R]) -> R:
    try:
        return await future
    except Exception as error:
        raise _failure(name, index, item, error) from error


def _failure(name: str, index: int, item: object, error: Exception) -> Exception:
    match error:
        case Unavailable():
            return error
        case InvalidInput():
            place = f"{name}[{index}]"
            return InvalidInput(
                [FieldError(f"{place}.{e.field}" if e.field else place, e.message) for e in error.errors]
            )
        case _:
            return ItemFailed(name, index, item)


async def _without_none(items: AsyncGenerator[R | None, None]) -> AsyncGenerator[R, None]:
    async with aclosing(items):
        async for item in items:
            if item is not None:
                yield item


async def _batches(items: AsyncGenerator[T, None], size: int) -> AsyncGenerator[list[T], None]:
    batch: list[T] = []
    async with aclosing(items):
        async for item in items:
            batch.append(item)
            if len(batch) >= size:
                yield batch
                batch = []
    if batch:
        yield batch
