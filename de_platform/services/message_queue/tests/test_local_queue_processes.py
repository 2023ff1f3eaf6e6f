"""Several processes on one local log: nothing is lost, repeated or torn, whoever is killed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract_support import ORDERS, PAYMENTS, numbered, read, values
from de_platform.services.message_queue.interface import Watermarks
from de_platform.services.message_queue.local_queue import LocalQueue

PROGRAM = Path(__file__).with_name("queue_process.py")

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(command: str, *arguments: object) -> subprocess.Popen[str]:
        line = [sys.executable, str(PROGRAM), command, str(path), *map(str, arguments)]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
async def queue(path: Path) -> LocalQueue:
    queue = LocalQueue(path, SystemClock())
    await queue.connect()
    await queue.create_topics({ORDERS: 2, PAYMENTS: 2}, retention_hours={})
    return queue


async def test_processes_publish_and_consume_at_once_without_loss_or_repetition(
    queue: LocalQueue, start: Start
) -> None:
    publishers = [start("publish", partition, 600, 20) for partition in (0, 0, 1)]
    for publisher in publishers:
        _line(publisher)
    records = await read(await queue.consumer([ORDERS, PAYMENTS], "g"), 3600)
    assert len(records) == 3600
    assert [p.wait() for p in publishers] == [0, 0, 0]
    marks = await queue.watermarks([ORDERS])
    assert marks == {TopicPartition(ORDERS, 0): Watermarks(0, 1200), TopicPartition(ORDERS, 1): Watermarks(0, 600)}
    await queue.disconnect()


async def test_a_partition_written_by_two_processes_keeps_the_order_of_each(queue: LocalQueue, start: Start) -> None:
    publishers = [start("publish", 0, 400, 20) for _ in range(2)]
    assert [p.wait() for p in publishers] == [0, 0]
    got = values(await read(await queue.consumer([ORDERS], "g"), 800))
    last = dict.fromkeys((0, 1), -1)
    batches = [got[i : i + 20] for i in range(0, 800, 20)]
    assert sorted(got) == sorted([*range(400), *range(400)])
    for batch in batches:
        assert batch == list(range(batch[0], batch[0] + 20))
        source = next(s for s in last if last[s] == batch[0] - 1)
        last[source] = batch[-1]
    await queue.disconnect()


async def test_a_killed_publisher_leaves_what_was_acknowledged_and_nothing_torn(
    queue: LocalQueue, start: Start
) -> None:
    publisher = start("publish", 0, 1_000_000, 50)
    for _ in range(20):
        acknowledged = int(_line(publisher))
    publisher.kill()
    assert publisher.stdout is not None
    rest = publisher.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    marks = await queue.watermarks([ORDERS, PAYMENTS])
    end = marks[TopicPartition(ORDERS, 0)].high
    assert end == marks[TopicPartition(PAYMENTS, 0)].high
    assert end in {acknowledged, acknowledged + 50}
    assert values(await read(await queue.consumer([ORDERS], "g"), end)) == list(range(end))
    await queue.disconnect()


async def test_a_killed_consumer_is_replaced_at_once(queue: LocalQueue, start: Start) -> None:
    victim, heir = start("consume", "g"), start("consume", "g")
    shares = {_until(victim, "owns", words=2), _until(heir, "owns", words=2)}
    assert shares == {"owns 0", "owns 1"}
    await queue.publish([*numbered(3), *numbered(3, partition=1)])
    assert _until(victim, "batch").split()[2:] == ["0", "1", "2"]
    assert _until(heir, "batch").split()[2:] == ["0", "1", "2"]
    victim.kill()
    assert _until(heir, "owns") == "owns 0 1"
    await queue.publish([*numbered(2, first=3), *numbered(2, first=3, partition=1)])
    assert {_until(heir, "batch"), _until(heir, "batch")} == {"batch 0 3 4", "batch 1 3 4"}
    await queue.disconnect()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _until(process: subprocess.Popen[str], word: str, *, words: int | None = None) -> str:
    """Read lines until one starts with `word` (and has that many words)."""
    assert process.stdout is not None
    for line in process.stdout:
        parts = line.split()
        if parts[0] == word and words in {None, len(parts)}:
            return line.strip()
    raise AssertionError(f"the process ended before it said {word!r}")
