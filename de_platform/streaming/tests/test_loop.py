import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import Header, Origin
from de_platform.pipeline.messages import Batch, Message, Record, TopicPartition
from de_platform.pipeline.topics import DEAD_LETTERS
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.group_consumer import GroupConsumer
from de_platform.services.message_queue.interface import PartitionsLost
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.noop_metrics import NoopMetrics
from de_platform.streaming.loop import ConsumerLoop
from de_platform.streaming.options import LoopOptions, TooManyErrors
from de_platform.streaming.step import PoisonRecord, Snapshot, Step

QUICK = LoopOptions(
    max_batch_records=3,
    poll_timeout_seconds=0.005,
    checkpoint_interval_seconds=0.0,
    first_backoff_seconds=0.001,
    max_backoff_seconds=0.01,
    max_consecutive_errors=5,
)


class Crash(BaseException):
    """The process is gone: nothing may catch this."""


class Numbering(Step[list[int]]):
    """Passes records from `in` to `out` with their running number, which only lives in its state."""

    group = "numbering"
    topics = ("in",)

    def __init__(self, *, fails_on: Callable[[bytes], Exception | None] = lambda _: None) -> None:
        self._fails_on = fails_on

    def new_state(self, partition: int) -> list[int]:
        return [0]

    async def process(self, batch: Batch, state: list[int]) -> Sequence[Message]:
        outputs: list[Message] = []
        for record in batch.records:
            if error := self._fails_on(record.value):
                raise error
            state[0] += 1
            origin = str(Origin(batch.topic, batch.partition, record.offset))
            value = f"{record.value.decode()}#{state[0]}".encode()
            outputs.append(Message(topic="out", key=record.key, value=value, headers={Header.ORIGIN: origin}))
        return outputs

    def snapshot(self, state: list[int]) -> Snapshot:
        return Snapshot(new_segments={f"count-{state[0]}": json.dumps(state).encode()})

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> list[int]:
        [segment] = segments.values()
        return json.loads(segment)


class Collecting(Step[list[tuple[int, bytes]]]):
    """A sink that buffers and stores at its flush."""

    group = "collecting"
    topics = ("out",)

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.refuses: bytes | None = None

    def new_state(self, partition: int) -> list[tuple[int, bytes]]:
        return []

    async def process(self, batch: Batch, state: list[tuple[int, bytes]]) -> Sequence[Message]:
        state.extend((record.offset, record.value) for record in batch.records)
        return ()

    async def flush(self, state: list[tuple[int, bytes]]) -> None:
        for offset, value in state:
            if self.refuses is not None and value.startswith(self.refuses):
                raise PoisonRecord(topic="out", partition=0, offset=offset, reason="refused")
        self.stored.extend(value for _, value in state)
        state.clear()


class Rig:
    """A queue of one partition, checkpoints, and loops that can be started, stopped and crashed."""

    def __init__(self) -> None:
        self.queue = MemoryQueue(SystemClock(), session_seconds=0.1)
        self.checkpoints = MemoryCheckpointStore()
        self.log = MemoryLogger()

    def loop(self, step: Step[object]) -> tuple[ConsumerLoop[object], LifecycleManager]:
        lifecycle = LifecycleManager(self.log)
        loop = ConsumerLoop(
            self.queue, self.checkpoints, self.log, NoopMetrics(), SystemClock(), lifecycle, step, QUICK
        )
        return loop, lifecycle

    async def send(self, *values: str) -> None:
        await self.queue.publish([Message(topic="in", key="acme", value=v.encode(), partition=0) for v in values])

    async def run_until_idle(self, step: Step[object]) -> None:
        """Run a loop until it has committed everything. Raises what the loop raises."""
        loop, lifecycle = self.loop(step)
        task = asyncio.create_task(loop.run())
        try:
            async with asyncio.timeout(10):
                while not task.done() and not await self.idle(step):
                    await asyncio.sleep(0.002)
        finally:
            lifecycle.request_shutdown()
        await task

    async def idle(self, step: Step[object]) -> bool:
        marks = await self.queue.watermarks(step.topics)
        try:
            committed = await self.queue.committed(step.group, step.topics)
        except Unavailable:
            return False
        return all(committed.get(p, 0) >= mark.high for p, mark in marks.items())

    async def values(self, topic: str) -> list[bytes]:
        consumer = await self.queue.consumer([topic], f"peek-{id(object())}")
        found: list[Record] = []
        while batch := await consumer.poll(max_records=1000, timeout_seconds=0.01):
            found.extend(batch.records)
        await consumer.close()
        return [record.value for record in found]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.queue.connect()
    await rig.queue.create_topics(dict.fromkeys(("in", "out", DEAD_LETTERS), 1), retention_hours={})
    yield rig
    await rig.queue.disconnect()


async def test_outputs_follow_their_inputs_in_order(rig: Rig) -> None:
    await rig.send("a", "b", "c", "d")
    await rig.run_until_idle(Numbering())
    assert await rig.values("out") == [b"a#1", b"b#2", b"c#3", b"d#4"]


async def test_state_goes_on_after_a_restart(rig: Rig) -> None:
    await rig.send("a", "b")
    await rig.run_until_idle(Numbering())
    await rig.send("c")
    await rig.run_until_idle(Numbering())
    assert (await rig.values("out"))[-1] == b"c#3"


async def test_an_unavailable_queue_is_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    publish, failures = rig.queue.publish, iter([True, True, False])

    async def flaky(messages: Sequence[Message]) -> None:
        if next(failures, False):
            raise Unavailable("queue", "down")
        await publish(messages)

    await rig.send("a")
    monkeypatch.setattr(rig.queue, "publish", flaky)
    await rig.run_until_idle(Numbering())
    assert await rig.values("out") == [b"a#1"]


async def test_a_poison_record_goes_to_the_dead_letters_and_the_rest_goes_on(rig: Rig) -> None:
    await rig.send("a", "bad", "c", "d")
    step = Numbering(fails_on=lambda value: RuntimeError("cannot") if value == b"bad" else None)
    await rig.run_until_idle(step)
    assert [v.split(b"#")[0] for v in dict.fromkeys(await rig.values("out"))] == [b"a", b"c", b"d"]
    assert await rig.values(DEAD_LETTERS) == [b"bad"]


async def test_invalid_input_is_given_up_without_counting_as_a_defect(rig: Rig) -> None:
    await rig.send(*["bad"] * 20, "good")
    step = Numbering(fails_on=lambda v: InvalidInput.single("x", "no") if v == b"bad" else None)
    await rig.run_until_idle(step)
    assert await rig.values("out") == [b"good#1"]


async def test_too_many_defects_in_a_row_stop_the_loop(rig: Rig) -> None:
    await rig.send(*"abcdefghij")
    step = Numbering(fails_on=lambda _: RuntimeError("always"))
    with pytest.raises(TooManyErrors):
        await rig.run_until_idle(step)


async def test_what_a_sink_refuses_at_its_flush_is_given_up_alone(rig: Rig) -> None:
    await rig.send("a", "b", "c")
    await rig.run_until_idle(Numbering())
    sink = Collecting()
    sink.refuses = b"b"
    await rig.run_until_idle(sink)
    assert sink.stored == [b"a#1", b"c#3"]
    assert await rig.values(DEAD_LETTERS) == [b"b#2"]


async def test_a_stale_owner_that_goes_on_does_no_harm(rig: Rig) -> None:
    """The stale one publishes once more what its successor publishes too; the reader takes each once."""
    await rig.send("a", "b", "c")
    stale = Numbering()
    outputs = await stale.process(
        Batch("in", 0, [Record(i, "acme", v, {}) for i, v in enumerate([b"a", b"b"])]), stale.new_state(0)
    )
    await rig.queue.publish([outputs[0]])
    await rig.run_until_idle(Numbering())
    await rig.queue.publish([outputs[1]])
    sink = Collecting()
    await rig.run_until_idle(sink)
    assert sink.stored == [b"a#1", b"b#2", b"c#3"]


async def test_a_queue_that_is_away_while_a_lost_partition_is_reloaded_is_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, failures = rig.queue.committed, [1, 2]

    def begin_failing(consumer: GroupConsumer) -> None:
        monkeypatch.setattr(rig.queue, "committed", flaky)

    async def flaky(group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        if failures and failures.pop():
            raise Unavailable("queue", "its coordinator loads")
        return await committed(group, topics)

    await rig.send("a", "b")
    monkeypatch.setattr(GroupConsumer, "commit", once_lost(GroupConsumer.commit, begin_failing))
    await rig.run_until_idle(Numbering())
    assert await rig.values("out") == [b"a#1", b"b#2"]


async def test_a_partition_that_is_lost_while_it_is_reloaded_comes_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expel(consumer: GroupConsumer) -> None:
        for group in rig.queue._groups.values():
            for member in list(group.subscriptions):
                group.remove(member)

    await rig.send("a", "b")
    monkeypatch.setattr(GroupConsumer, "commit", once_lost(GroupConsumer.commit, expel))
    monkeypatch.setattr(GroupConsumer, "seek", once_lost(GroupConsumer.seek))
    await rig.run_until_idle(Numbering())
    sink = Collecting()
    await rig.run_until_idle(sink)
    assert sink.stored == [b"a#1", b"b#2"]


def once_lost(method: Callable[..., Any], also: Callable[[GroupConsumer], None] = lambda _: None) -> Callable[..., Any]:
    """Let the first call of a consumer's method find that the partitions went to another member."""
    calls = iter([True])

    async def lost_at_first(consumer: GroupConsumer, *arguments: Any) -> None:
        if next(calls, False):
            also(consumer)
            raise PartitionsLost(consumer.assignment)
        await method(consumer, *arguments)

    return lost_at_first


async def test_a_step_that_takes_everything_never_reads_what_clients_write_into_the_origin(rig: Rig) -> None:
    step = Numbering()
    step.skips_replays = False
    await rig.queue.publish([Message(topic="in", key="acme", value=b"a", headers={Header.ORIGIN: "junk"}, partition=0)])
    await rig.run_until_idle(step)
    assert await rig.values("out") == [b"a#1"]


class CrashPoints:
    """Crashes the process before or after the n-th effect, for each n of the plan."""

    def __init__(self, rig: Rig, plan: list[int]) -> None:
        self._countdown = iter(plan)
        self._left = next(self._countdown, -1)
        self._wrap(rig.queue, "publish")
        self._wrap(rig.checkpoints, "save")

    def disarm(self) -> None:
        """Let everything after this go well."""
        self._left = -1

    def _tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._left = next(self._countdown, -1)
            raise Crash

    def _wrap(self, target: object, name: str) -> None:
        effect = getattr(target, name)

        async def crashing(*args: object, **kwargs: object) -> None:
            self._tick()
            await effect(*args, **kwargs)
            self._tick()

        setattr(target, name, crashing)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 12), max_size=6))
def test_crashes_between_any_two_effects_lose_nothing_and_repeat_nothing(plan: list[int]) -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.queue.connect()
        await rig.queue.create_topics(dict.fromkeys(("in", "out", DEAD_LETTERS), 1), retention_hours={})
        names = [f"r{i}" for i in range(10)]
        await rig.send(*names)
        points = CrashPoints(rig, plan)
        while await _crashes(rig, Numbering()):
            pass
        points.disarm()
        sink = Collecting()
        await rig.run_until_idle(sink)
        assert sink.stored == [f"{name}#{i}".encode() for i, name in enumerate(names, start=1)]

    asyncio.run(scenario())


async def _crashes(rig: Rig, step: Step[object]) -> bool:
    """Run until idle or until the process dies. Says whether it died."""
    loop, lifecycle = rig.loop(step)
    task = asyncio.ensure_future(_guarded(loop))
    while not task.done() and not await rig.idle(step):
        await asyncio.sleep(0.001)
    lifecycle.request_shutdown()
    return await task


async def _guarded(loop: ConsumerLoop[object]) -> bool:
    """Return whether the loop crashed; a BaseException must not reach the event loop's own machinery."""
    try:
        await loop.run()
    except Crash:
        return True
    return False
