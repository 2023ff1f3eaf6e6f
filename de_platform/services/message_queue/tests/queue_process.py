"""A process that publishes to, or consumes from, a local log; started by tests, killed by them."""

import asyncio
import sys
from pathlib import Path

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract_support import ORDERS, PAYMENTS, numbered
from de_platform.services.message_queue.local_queue import LocalQueue


def say(*words: object) -> None:
    """Tell the test, at once."""
    print(*words, flush=True)  # noqa: T201 - the program's output is its purpose


async def publish(path: Path, partition: int, count: int, batch: int) -> None:
    """Publish numbers to two topics at once and print each batch's end once it is acknowledged."""
    queue = LocalQueue(path, SystemClock())
    await queue.connect()
    for first in range(0, count, batch):
        numbers = numbered(batch, first=first, partition=partition)
        await queue.publish([*numbers, *numbered(batch, first=first, topic=PAYMENTS, partition=partition)])
        say(first + batch)
    await queue.disconnect()


async def consume(path: Path, group: str) -> None:
    """Print what comes, one batch a line, each after its commit; and the assignment when it changes."""
    queue = LocalQueue(path, SystemClock())
    await queue.connect()
    consumer = await queue.consumer([ORDERS], group)
    assignment: frozenset[TopicPartition] = frozenset()
    while True:
        batch = await consumer.poll(max_records=100, timeout_seconds=0.1)
        if batch is not None:
            await consumer.commit({TopicPartition(batch.topic, batch.partition): batch.next_offset})
            say("batch", batch.partition, *(r.value.decode() for r in batch.records))
        if consumer.assignment != assignment:
            assignment = consumer.assignment
            say("owns", *sorted(p.partition for p in assignment))


def main() -> None:
    """Run `publish PATH PARTITION COUNT BATCH` or `consume PATH GROUP`."""
    match sys.argv[1:]:
        case ["publish", path, partition, count, batch]:
            asyncio.run(publish(Path(path), int(partition), int(count), int(batch)))
        case ["consume", path, group]:
            asyncio.run(consume(Path(path), group))
        case unknown:
            sys.exit(f"unknown: {unknown}")


if __name__ == "__main__":
    main()
