"""Claims about files, manifest and module."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest

from de_platform.modules.archive.courier import Courier
from de_platform.modules.archive.formats import ArchivedRecord, FileFormat, decode, encode
from de_platform.modules.archive.layout import FilePlace, entry_path, file_path
from de_platform.modules.archive.main import ArchiveModule, ArchiveSettings
from de_platform.modules.archive.parcels import Parcel, pack, seal, unpack
from de_platform.modules.archive.reader import ArchiveDamaged, archived_values, listed_files
from de_platform.modules.archive.step import ArchiveStep, OpenFiles
from de_platform.modules.archive.tests.simulated_log import record
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.topics import ORDERS_PERSISTENCE
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.streaming.step import PoisonRecord

ACME_ORDERS = FilePlace(
    tenant_id="acme", table=StoredTable.ORDERS, day="2026-11-03", topic=ORDERS_PERSISTENCE, partition=2
)


def archived(offset: int, value: bytes = b'{"id": "o1"}') -> ArchivedRecord:
    return ArchivedRecord(offset, "2026-11-03T12:00:00.000001Z", f"m.{offset}", value)


class FlakyFiles(MemoryFileSystem):
    """Files that cannot be written while `is_down`."""

    is_down = False

    async def write(self, path: str, data: bytes) -> None:
        if self.is_down:
            raise Unavailable("files", "down")
        await super().write(path, data)


def make_step(fs: MemoryFileSystem, *, file_records: int = 1000) -> tuple[ArchiveStep, Courier]:
    clock = MemoryClock()
    courier = Courier(fs, MemoryLogger(), MemoryMetrics(), clock)
    step = ArchiveStep(courier, MemoryMetrics(), clock, file_format=FileFormat.JSONL, file_records=file_records)
    return step, courier


async def take_in(step: ArchiveStep, *records: Record) -> OpenFiles:
    state = step.new_state(0)
    await step.process(Batch(ORDERS_PERSISTENCE, 0, records), state)
    return state


async def archive(step: ArchiveStep, courier: Courier, state: OpenFiles) -> None:
    """Do what the loop does at a checkpoint, and then what the courier does."""
    await step.flush(state)
    step.snapshot(state)
    step.snapshot_saved(state)
    await courier.deliver()


# files


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_file_holds_the_records_as_they_are(file_format: FileFormat) -> None:
    values = [b'{"id": "o1", "price": 1.50}', '{"id": "é😀\\n"}'.encode()]
    data = encode(file_format, [archived(n, value) for n, value in enumerate(values)])
    assert decode(f"x.{file_format.extension}", data) == values


def test_record_with_line_breaks_is_one_line() -> None:
    data = encode(FileFormat.JSONL, [archived(0, b'{\r\n  "id": "o1"\n}'), archived(1)])
    assert [json.loads(line)["id"] for line in decode("x.jsonl.zst", data)] == ["o1", "o1"]


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_same_records_give_the_same_bytes(file_format: FileFormat) -> None:
    records = [archived(n) for n in range(100)]
    assert encode(file_format, records) == encode(file_format, records)


def test_file_is_named_by_its_first_offset() -> None:
    file = seal(ACME_ORDERS, [archived(7), archived(9)], FileFormat.PARQUET)
    assert file.entry.path == "archive/acme/orders/2026-11-03/orders_persistence-2-000000000007.parquet"
    assert (file.entry.first_offset, file.entry.last_offset, file.entry.records) == (7, 9, 2)


@pytest.mark.parametrize(
    ("tenant_id", "folder"),
    [("acme", "acme"), ("..", "%2E%2E"), (".", "%2E"), ("", "@unknown"), ("../x", "@unknown"), ("a/b", "@unknown")],
)
def test_folder_of_a_tenant_stays_within_the_archive(tenant_id: str, folder: str) -> None:
    place = FilePlace(tenant_id=tenant_id, table=StoredTable.ORDERS, day="2026-11-03", topic="t", partition=0)
    assert file_path(place, 0, "x").split("/")[1] == folder
    assert entry_path(place, 0).split("/")[1] == folder


def test_parcel_survives_a_checkpoint() -> None:
    parcel = Parcel(files=(seal(ACME_ORDERS, [archived(0)], FileFormat.JSONL),))
    assert unpack(pack(parcel)) == parcel


# the step


async def test_tenants_and_days_have_files_of_their_own() -> None:
    fs = MemoryFileSystem()
    step, courier = make_step(fs)
    await archive(step, courier, await take_in(step, *map(record, range(6, 15))))
    days = {entry.path.split("/")[3] for entry in await listed_files(fs, "acme", StoredTable.ORDERS)}
    assert days == {"2026-11-03", "2026-11-04"}
    assert len([value async for value in archived_values(fs, "globex", StoredTable.ORDERS)]) == 3


async def test_nothing_is_written_before_the_checkpoint_is_saved() -> None:
    fs = MemoryFileSystem()
    step, courier = make_step(fs)
    state = await take_in(step, record(0))
    await step.flush(state)
    step.snapshot(state)
    await courier.deliver()
    assert await fs.list("") == []


async def test_delivered_files_leave_the_checkpoint() -> None:
    step, courier = make_step(MemoryFileSystem())
    state = await take_in(step, record(0))
    await archive(step, courier, state)
    assert step.snapshot(state).kept_segments == frozenset()


async def test_files_stay_in_the_checkpoint_until_they_can_be_written() -> None:
    fs = FlakyFiles()
    step, courier = make_step(fs)
    state = await take_in(step, record(0))
    fs.is_down = True
    with pytest.raises(Unavailable):
        await archive(step, courier, state)
    assert len(step.snapshot(state).kept_segments) == 1


async def test_full_buffers_ask_for_a_checkpoint() -> None:
    step, _ = make_step(MemoryFileSystem(), file_records=2)
    assert not step.flush_due(await take_in(step, record(0)))
    assert step.flush_due(await take_in(step, record(0), record(3)))


@pytest.mark.parametrize(
    "broken",
    [
        Record(3, "acme", b"{}", {Header.TENANT_ID: "acme"}),
        Record(3, "acme", b"{}", {Header.TENANT_ID: "acme", Header.INGESTED_AT: "../../etc"}),
        Record(3, "acme", b"\xff", {Header.TENANT_ID: "acme", Header.INGESTED_AT: "2026-11-03T12:00:00Z"}),
    ],
)
async def test_record_that_cannot_be_filed_is_named(broken: Record) -> None:
    step, _ = make_step(MemoryFileSystem())
    with pytest.raises(PoisonRecord) as caught:
        await take_in(step, broken)
    assert caught.value.offset == 3


# the manifest


async def test_damaged_and_missing_files_are_noticed() -> None:
    fs = MemoryFileSystem()
    step, courier = make_step(fs)
    await archive(step, courier, await take_in(step, record(0)))
    [entry] = await listed_files(fs, "acme", StoredTable.ORDERS)
    await fs.write(entry.path, b"other bytes")
    with pytest.raises(ArchiveDamaged, match="was altered"):
        _ = [value async for value in archived_values(fs, "acme", StoredTable.ORDERS)]
    await fs.delete(entry.path)
    with pytest.raises(ArchiveDamaged, match="is missing"):
        _ = [value async for value in archived_values(fs, "acme", StoredTable.ORDERS)]


async def test_listed_file_is_never_written_again() -> None:
    fs = MemoryFileSystem()
    step, courier = make_step(fs)
    state = await take_in(step, record(0))
    await archive(step, courier, state)
    [entry] = await listed_files(fs, "acme", StoredTable.ORDERS)
    await fs.write(entry.path, b"after an erasure")
    place = msgspec.structs.replace(ACME_ORDERS, partition=0)
    courier.take("again", Parcel(files=(seal(place, [archived(0)], FileFormat.JSONL),)))
    await courier.deliver()
    assert await fs.read(entry.path) == b"after an erasure"


# the module


@asynccontextmanager
async def running(
    queue: MemoryQueue, fs: MemoryFileSystem, *, file_interval: float
) -> AsyncGenerator[LifecycleManager]:
    log, clock = MemoryLogger(), SystemClock()
    lifecycle = LifecycleManager(log)
    settings = ArchiveSettings(format=FileFormat.JSONL, file_interval=file_interval, file_records=1000)
    module = ArchiveModule(settings, queue, MemoryCheckpointStore(), fs, log, MemoryMetrics(), clock, lifecycle)
    task = asyncio.create_task(module.run())
    try:
        yield lifecycle
    finally:
        lifecycle.request_shutdown()
        assert await task == 0


async def filled_queue() -> MemoryQueue:
    queue = MemoryQueue(SystemClock())
    await queue.connect()
    records = map(record, range(30))
    await queue.publish(
        [Message(topic=ORDERS_PERSISTENCE, key=r.key, value=r.value, headers=r.headers) for r in records]
    )
    return queue


async def count_archived(fs: MemoryFileSystem) -> int:
    tenants = ("acme", "globex", "")
    return sum([1 for tenant in tenants async for _ in archived_values(fs, tenant, StoredTable.ORDERS)])


async def test_quiet_partition_is_archived_when_the_interval_is_over() -> None:
    queue, fs = await filled_queue(), MemoryFileSystem()
    async with running(queue, fs, file_interval=0.01), asyncio.timeout(10):
        while await count_archived(fs) < 30:
            await asyncio.sleep(0.005)


async def test_lull_makes_no_tiny_files_but_the_end_archives_all() -> None:
    queue, fs = await filled_queue(), MemoryFileSystem()
    async with running(queue, fs, file_interval=3600):
        await asyncio.sleep(0.3)  # three times what the loop calls quiet
        assert await count_archived(fs) == 0
    assert await count_archived(fs) == 30


async def test_files_that_cannot_be_written_now_are_written_later() -> None:
    queue, fs = await filled_queue(), FlakyFiles()
    fs.is_down = True
    async with running(queue, fs, file_interval=0.01), asyncio.timeout(10):
        while not any((await queue.committed("archive", [ORDERS_PERSISTENCE])).values()):
            await asyncio.sleep(0.005)
        fs.is_down = False
        while await count_archived(fs) < 30:
            await asyncio.sleep(0.005)


async def test_sizes_that_never_make_a_file_are_refused_together() -> None:
    log, clock = MemoryLogger(), SystemClock()
    module = ArchiveModule(
        ArchiveSettings(format=FileFormat.PARQUET, file_interval=0, file_records=-1),
        MemoryQueue(clock),
        MemoryCheckpointStore(),
        MemoryFileSystem(),
        log,
        MemoryMetrics(),
        clock,
        LifecycleManager(log),
    )
    with pytest.raises(InvalidInput) as caught:
        await module.validate()
    assert [error.field for error in caught.value.errors] == ["--file-interval", "--file-records"]
