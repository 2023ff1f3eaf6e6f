"""Topics, partitions and batches in SQL. Functions over a connection; transactions are the caller's."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS, Watermarks
from de_platform.services.message_queue.local_codec import PackedBatch

_MICROS_PER_HOUR = 3_600_000_000
_REMOVED_BATCHES_A_RUN = 200


class Snapshot(NamedTuple):
    """Everything that may wake a consumer, at one moment."""

    ends: Mapping[int, int]
    """End offset by partition id."""
    generations: Mapping[str, int]
    """Generation by group."""


class Appended(NamedTuple):
    """What an append changed."""

    ends: Mapping[int, int]
    old_batches_left: bool = False


def take_snapshot(connection: sqlite3.Connection) -> Snapshot:
    """Read the ends of all partitions and the generations of all groups."""
    return Snapshot(
        dict(connection.execute("SELECT id, end_offset FROM partitions")),
        dict(connection.execute("SELECT name, generation FROM groups")),
    )


def ensure_topics(connection: sqlite3.Connection, partitions: Mapping[str, int]) -> None:
    """Create the topics that do not exist."""
    for name, count in partitions.items():
        inserted = connection.execute(
            "INSERT INTO topics (name, partitions) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, count)
        )
        if inserted.rowcount:
            connection.executemany(
                "INSERT INTO partitions (topic, number) VALUES (?, ?)", [(name, number) for number in range(count)]
            )


def ensure_default_topics(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Create the topics that do not exist, with the default partitions."""
    ensure_topics(connection, dict.fromkeys(names, DEFAULT_PARTITIONS))


def set_retention(connection: sqlite3.Connection, hours: Mapping[str, int | None]) -> None:
    """Set how long records of topics stay; None is for ever."""
    connection.executemany(
        "UPDATE topics SET retention_hours = ? WHERE name = ?", [(value, name) for name, value in hours.items()]
    )


def partition_ids(connection: sqlite3.Connection) -> dict[str, tuple[int, ...]]:
    """Return the ids of every topic's partitions, by number."""
    ids: dict[str, list[int]] = {}
    for topic, partition_id in connection.execute("SELECT topic, id FROM partitions ORDER BY topic, number"):
        ids.setdefault(topic, []).append(partition_id)
    return {topic: tuple(of_topic) for topic, of_topic in ids.items()}


def append(connection: sqlite3.Connection, batches: Sequence[PackedBatch], *, now_micros: int) -> dict[int, int]:
    """Append batches in order; returns the new end of every partition that grew."""
    ends: dict[int, int] = {}
    for batch in batches:
        (end,) = connection.execute(
            "UPDATE partitions SET end_offset = end_offset + ? WHERE id = ? RETURNING end_offset",
            (batch.records, batch.partition_id),
        ).fetchone()
        connection.execute(
            "INSERT INTO batches (partition_id, end_offset, records, appended_at_micros, payload)"
            " VALUES (?, ?, ?, ?, ?)",
            (batch.partition_id, end, batch.records, now_micros, batch.payload),
        )
        ends[batch.partition_id] = end
    return ends


def remove_old(connection: sqlite3.Connection, *, now_micros: int) -> bool:
    """Remove batches past their topic's retention, oldest first. Returns whether some are left for the next run."""
    budget = _REMOVED_BATCHES_A_RUN
    kept_hours = connection.execute(
        "SELECT partitions.id, retention_hours FROM partitions JOIN topics ON topics.name = topic"
        " WHERE retention_hours IS NOT NULL AND low_offset < end_offset"
    ).fetchall()
    for partition_id, hours in kept_hours:
        removed = _remove_prefix(connection, partition_id, now_micros - hours * _MICROS_PER_HOUR, budget)
        budget -= removed
        if budget == 0:
            return True
    return False


def _remove_prefix(connection: sqlite3.Connection, partition_id: int, before_micros: int, limit: int) -> int:
    oldest = connection.execute(
        "SELECT end_offset, appended_at_micros FROM batches WHERE partition_id = ? ORDER BY end_offset LIMIT ?",
        (partition_id, limit),
    ).fetchall()
    removed = next((i for i, (_, at) in enumerate(oldest) if at >= before_micros), len(oldest))
    if removed:
        low = oldest[removed - 1][0]
        connection.execute("DELETE FROM batches WHERE partition_id = ? AND end_offset <= ?", (partition_id, low))
        connection.execute("UPDATE partitions SET low_offset = ? WHERE id = ?", (low, partition_id))
    return removed


def watermarks(connection: sqlite3.Connection, topics: Sequence[str]) -> dict[TopicPartition, Watermarks]:
    """Return the offsets held, for every partition of these topics."""
    rows = connection.execute("SELECT topic, number, low_offset, end_offset FROM partitions ORDER BY topic, number")
    wanted = set(topics)
    return {TopicPartition(topic, number): Watermarks(low, end) for topic, number, low, end in rows if topic in wanted}
