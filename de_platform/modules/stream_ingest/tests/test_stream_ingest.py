"""Stream ingest: every record in exactly one file, whatever crashes, and a row for each file."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from de_platform.modules.stream_ingest.lake_step import Buffer, Lake, LakeStep, as_line
from de_platform.modules.stream_ingest.main import StreamIngestModule, StreamIngestSettings
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem
from de_platform.services.ingest_batch_store.memory_ingest_batch_store import MemoryIngestBatchStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics


class Rig:
    """A step over stores that outlive it."""

    def __init__(self, batch_records: int = 3) -> None:
        self.files = MemoryFileSystem()
        self.batches = MemoryIngestBatchStore()
        lake = Lake(topic="t", output_prefix="lake", batch_records=batch_records)
        self.step = LakeStep(lake, self.files, self.batches, MemoryClock(), MemoryMetrics())

    async def take(self, state: Buffer, offsets: Sequence[int]) -> None:
        if offsets:
            await self.step.process(Batch("t", 1, [Record(o, "k", b"%d" % o, {}) for o in offsets]), state)

    async def written(self) -> list[int]:
        return [
            int(line) for path in await self.files.list("lake/t/") for line in (await self.files.read(path)).split()
        ]


async def test_files_are_named_by_first_offset_and_have_a_row() -> None:
    rig = Rig()
    state = rig.step.new_state(1)
    await rig.take(state, [5, 6, 9, 10])
    await rig.step.flush(state)
    paths = ["lake/t/00001/00000000000000000005.jsonl", "lake/t/00001/00000000000000000010.jsonl"]
    assert await rig.files.list("") == paths
    rows = await rig.batches.of_topic("t")
    assert [(r.path, r.first_offset, r.last_offset, r.record_count, r.byte_count) for r in rows] == [
        (paths[0], 5, 9, 3, 6),
        (paths[1], 10, 10, 1, 3),
    ]


@settings(max_examples=100, deadline=None)
@example([1] * 6, [(5, "crash"), (2, "saved")], 4)
@example([2] * 6, [(1, "stale"), (5, "stale"), (1, "saved"), (1, "saved")], 4)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["saved", "crash", "stale"])), max_size=12),
    st.integers(1, 6),
)
async def test_each_record_is_in_one_file_whatever_crashes(gaps, flushes, batch_records) -> None:
    """`crash` dies between flush and checkpoint; `stale` is another consumer that flushes from the same place."""
    rig = Rig(batch_records)
    offsets = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    state, segments, at = rig.step.new_state(1), {}, 0
    for count, event in [*flushes, (len(offsets), "saved")]:
        await rig.take(state, offsets[at : at + count])
        await rig.step.flush(state)
        if event == "saved":
            segments, at = rig.step.snapshot(state).new_segments, min(at + count, len(offsets))
            continue
        if event == "stale":
            stale = rig.step.restore(1, segments)
            await rig.take(stale, offsets[at : at + count + 1])
            await rig.step.flush(stale)
        state = rig.step.restore(1, segments)
    assert await rig.written() == offsets
    rows = await rig.batches.of_topic("t")
    covered = [[offset for offset in offsets if row.first_offset <= offset <= row.last_offset] for row in rows]
    assert [len(each) for each in covered] == [row.record_count for row in rows]
    assert [offset for each in covered for offset in each] == offsets


async def test_row_that_could_not_be_stored_is_stored_by_the_next_flush() -> None:
    rig = Rig()
    state = rig.step.new_state(1)
    await rig.take(state, [0, 1])
    rig.batches.unavailable = Unavailable("warehouse", "away")
    with pytest.raises(Unavailable):
        await rig.step.flush(state)
    rig.batches.unavailable = None
    await rig.step.flush(state)
    assert await rig.written() == [0, 1]
    assert [row.record_count for row in await rig.batches.of_topic("t")] == [2]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (b'{"price": 1.10}', b'{"price": 1.10}\n'),
        (b'{\n "price": 1.10,\r\n "a": "x y"}', b'{"price":1.10,"a":"x y"}\n'),
        (b"\xff\n", b'{"raw_base64":"/wo="}\n'),
        (b"", b'{"raw_base64":""}\n'),
        (b"not json", b'{"raw_base64":"bm90IGpzb24="}\n'),
    ],
)
def test_every_record_is_one_line_of_json(value, line) -> None:
    assert as_line(value) == line


def module(rig: Rig, queue: MemoryQueue, lifecycle: LifecycleManager, **changes: object) -> StreamIngestModule:
    given = {"topic": "t", "output_prefix": "lake/", "batch_size": 100, "flush_interval": 60.0, **changes}
    return StreamIngestModule(
        StreamIngestSettings(**given),
        queue,
        MemoryCheckpointStore(),
        rig.files,
        rig.batches,
        MemoryLogger(),
        MemoryMetrics(),
        SystemClock(),
        lifecycle,
    )


async def test_shutdown_writes_what_is_buffered() -> None:
    rig, queue = Rig(), MemoryQueue(SystemClock())
    await queue.connect()
    await queue.publish([Message(topic="t", key="k", value=json.dumps(n).encode()) for n in range(250)])
    lifecycle = LifecycleManager(MemoryLogger())
    running = asyncio.create_task(module(rig, queue, lifecycle).run())
    async with asyncio.timeout(10):
        while len(await rig.batches.of_topic("t")) < 2:
            await asyncio.sleep(0.005)
    lifecycle.request_shutdown()
    assert await running == 0
    assert sorted(await rig.written()) == list(range(250))


async def test_every_bad_setting_is_named() -> None:
    changes = {"topic": "a/b", "output_prefix": "../x", "batch_size": 0, "flush_interval": -1.0}
    with pytest.raises(InvalidInput) as refused:
        await module(Rig(), MemoryQueue(SystemClock()), LifecycleManager(MemoryLogger()), **changes).run()
    assert [e.field for e in refused.value.errors] == ["--topic", "--output-prefix", "--batch-size", "--flush-interval"]
