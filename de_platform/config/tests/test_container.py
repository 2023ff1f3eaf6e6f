"""Objects get what their constructors name, and what was opened is closed in reverse."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from de_platform.config.container import Container, InjectionError


class Queue: ...


class Store: ...


class Stage:
    def __init__(self, queue: Queue, store: Store) -> None:
        self.queue = queue
        self.store = store


class Optional:
    def __init__(self, queue: Queue, store: Store | None, size: int = 5) -> None:
        self.store = store
        self.size = size


class Untyped:
    def __init__(self, queue) -> None: ...


class Circular:
    def __init__(self, other: Stage) -> None: ...


def opening(journal: list[str], kind: type) -> Callable:
    @asynccontextmanager
    async def factory(container: Container) -> AsyncIterator[object]:
        journal.append(f"open {kind.__name__}")
        try:
            yield kind()
        finally:
            journal.append(f"close {kind.__name__}")

    return factory


async def test_constructor_is_served_by_type() -> None:
    queue, store = Queue(), Store()
    container = Container()
    container.register_instance(Queue, queue)
    container.register_instance(Store, store)
    stage = await container.construct(Stage)
    assert (stage.queue, stage.store) == (queue, store)


async def test_opened_once_and_closed_in_reverse() -> None:
    journal: list[str] = []
    async with Container() as container:
        container.register_factory(Queue, opening(journal, Queue))
        container.register_factory(Store, opening(journal, Store))
        first, second = await container.construct(Stage), await container.construct(Stage)
        assert first is not second
        assert first.queue is second.queue
    assert journal == ["open Queue", "open Store", "close Store", "close Queue"]


async def test_what_nobody_needs_is_not_opened() -> None:
    journal: list[str] = []
    async with Container() as container:
        container.register_factory(Queue, opening(journal, Queue))
    assert journal == []


async def test_missing_need_names_class_parameter_and_type() -> None:
    container = Container()
    container.register_instance(Queue, Queue())
    with pytest.raises(
        InjectionError, match=r"Stage\(store: Store\): nothing is registered for Store; there are Queue"
    ):
        await container.construct(Stage)


async def test_optional_needs_may_be_absent() -> None:
    container = Container()
    container.register_instance(Queue, Queue())
    built = await container.construct(Optional)
    assert (built.store, built.size) == (None, 5)


async def test_optional_need_is_served_when_it_can_be() -> None:
    container = Container()
    container.register_instance(Queue, Queue())
    container.register_instance(Store, Store())
    assert (await container.construct(Optional)).store is not None


async def test_parameter_without_annotation_is_refused() -> None:
    with pytest.raises(InjectionError, match=r"Untyped\(queue\): has no annotation"):
        await Container().construct(Untyped)


async def test_circle_of_needs_is_refused() -> None:
    container = Container()

    @asynccontextmanager
    async def circle(inner: Container) -> AsyncIterator[Stage]:
        await inner.construct(Circular)
        yield Stage(Queue(), Store())

    container.register_factory(Stage, circle)
    with pytest.raises(InjectionError, match="Stage needs Stage"):
        await container.resolve(Stage)


async def test_child_shares_with_its_parent_and_keeps_its_own() -> None:
    journal: list[str] = []
    async with Container() as parent:
        parent.register_factory(Queue, opening(journal, Queue))
        async with parent.child() as one, parent.child() as two:
            one.register_instance(Store, Store())
            two.register_instance(Store, Store())
            first, second = await one.construct(Stage), await two.construct(Stage)
        assert first.queue is second.queue
        assert first.store is not second.store
        assert journal == ["open Queue"]


async def test_failure_while_opening_closes_what_was_open() -> None:
    journal: list[str] = []

    @asynccontextmanager
    async def failing(container: Container) -> AsyncIterator[Store]:
        raise OSError("no store")
        yield Store()

    async def use() -> None:
        async with Container() as container:
            container.register_factory(Queue, opening(journal, Queue))
            container.register_factory(Store, failing)
            await container.construct(Stage)

    with pytest.raises(OSError, match="no store"):
        await use()
    assert journal == ["open Queue", "close Queue"]
