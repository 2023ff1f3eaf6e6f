"""The stream is lazy, keeps order, holds a bounded window, and names the item that failed."""

import asyncio
import operator
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.modules.batch_etl.data_stream import DataStream, ItemFailed
from de_platform.pipeline.errors import InvalidInput, Unavailable


async def collected(stream: DataStream[object]) -> list[object]:
    return [item async for item in stream]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 5))
async def test_every_method_gives_the_same_in_the_same_order(items, workers) -> None:
    async def double(item: int) -> int:
        for _ in range(item % 3):
            await asyncio.sleep(0)
        return item * 2

    expected = [item * 2 for item in items]
    assert await collected(DataStream.of(items).map("x", lambda i: i * 2)) == expected
    assert await collected(DataStream.of(items).map_async("x", double, workers=workers)) == expected
    assert await collected(DataStream.of(items).map_in_threads("x", lambda i: i * 2, workers=workers)) == expected


async def test_processes_give_results_in_order() -> None:
    stream = DataStream.of(range(20)).map_in_processes("x", partial(operator.mul, 3), workers=2)
    assert await collected(stream) == [i * 3 for i in range(20)]


def counting(taken: list[int]) -> Iterator[int]:
    for number in range(1000):
        taken.append(number)
        yield number


async def test_nothing_is_taken_before_iteration() -> None:
    taken: list[int] = []
    stream = DataStream.of(counting(taken)).map("x", str)
    assert not taken
    await anext(aiter(stream))
    await stream.aclose()
    assert taken == [0]


async def test_at_most_a_window_is_in_work() -> None:
    taken: list[int] = []
    stream = DataStream.of(counting(taken)).map_in_threads("x", str, workers=4)
    async for item in stream:
        assert len(taken) - int(item) <= 4
    assert len(taken) == 1000


@pytest.mark.parametrize("workers", [1, 3])
async def test_failing_item_is_named_and_those_before_it_came_through(workers) -> None:
    async def invert(item: int) -> float:
        return 1 / item

    got: list[float] = []
    stream = DataStream.of([1, 2, 0, 4]).map_async("invert", invert, workers=workers).map("keep", got.append)
    with pytest.raises(ItemFailed) as failed:
        await collected(stream)
    assert (failed.value.step, failed.value.index, failed.value.item) == ("invert", 2, 0)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert got == [1, 0.5]


async def test_failure_cancels_what_is_in_work() -> None:
    cancelled: list[int] = []

    async def step(item: int) -> int:
        if item == 0:
            raise ValueError
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    with pytest.raises(ItemFailed):
        await collected(DataStream.of([0, 1, 2, 3]).map_async("x", step, workers=3))
    assert set(cancelled) <= {1, 2}
    assert len(asyncio.all_tasks()) == 1


async def test_batches_are_full_but_the_last() -> None:
    assert await collected(DataStream.of(range(5)).batches(2)) == [[0, 1], [2, 3], [4]]
    assert await collected(DataStream.of([]).batches(2)) == []


async def test_none_is_dropped() -> None:
    assert await collected(DataStream.of([0, None, 2]).without_none()) == [0, 2]


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (Unavailable("log", "gone"), "log is unavailable: gone"),
        (InvalidInput.single("price", "bad"), r"step\[0\].price: bad"),
        (InvalidInput.single("", "bad"), r"step\[0\]: bad"),
    ],
)
async def test_family_of_an_error_is_kept(raised, text) -> None:
    def step(item: int) -> int:
        raise raised

    with pytest.raises(type(raised), match=text):
        await collected(DataStream.of([1]).map("step", step))


async def test_failing_source_is_named_with_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    with pytest.raises(ItemFailed, match="feed failed for item 1"):
        await collected(DataStream.of(source(), "feed"))
