"""Groups, members, claims and offsets in SQL. Functions over a connection; transactions are the caller's.

Times are seconds of the machine's monotonic clock, which its processes share. It starts anew with the
machine: a sign of life from the future was given before a reboot, by a process that is gone.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.message_queue.group_consumer import Standing
from de_platform.services.message_queue.interface import PartitionsLost, StartAt
from de_platform.services.message_queue.partitioning import claimable, share_of


class Member(NamedTuple):
    """One consumer of a group."""

    group: str
    name: str
    session: str
    """Whose end is the member's end."""
    topics: frozenset[str]
    start_at: StartAt


class Renewed(NamedTuple):
    """A standing and the generation of the group that it belongs to."""

    standing: Standing
    generation: int


def renew(
    connection: sqlite3.Connection,
    member: Member,
    *,
    now_seconds: float,
    session_seconds: float,
    has_ended: Callable[[str], bool],
) -> Renewed:
    """Give a sign of life, expel silent and ended members, claim what is free of the member's share."""
    was_expelled = _sign_of_life(connection, member, now_seconds)
    _expel(connection, member, now_seconds, session_seconds, has_ended)
    share = share_of(member.name, _subscriptions(connection, member.group), _partition_counts(connection))
    claims = _claims(connection, member.group)
    others = frozenset(p for p, owner in claims.items() if owner != member.name)
    fresh = [p for p in claimable(share, others) if p not in claims]
    connection.executemany(
        "INSERT INTO claims (group_name, topic, partition, member) VALUES (?, ?, ?, ?)",
        [(member.group, *p, member.name) for p in fresh],
    )
    if member.start_at is StartAt.LATEST:
        _start_at_end(connection, member.group, fresh)
    offsets = committed(connection, member.group)
    mine = {*fresh, *(p for p, owner in claims.items() if owner == member.name)}
    standing = Standing({p: offsets.get(p, 0) for p in mine}, frozenset(mine - share), was_expelled)
    return Renewed(standing, _generation(connection, member.group))


def release(connection: sqlite3.Connection, member: Member, partitions: frozenset[TopicPartition]) -> int:
    """Give up claims; returns the new generation."""
    connection.executemany(
        "DELETE FROM claims WHERE group_name = ? AND topic = ? AND partition = ? AND member = ?",
        [(member.group, *p, member.name) for p in partitions],
    )
    return _advance(connection, member.group)


def leave(connection: sqlite3.Connection, member: Member) -> int:
    """Remove a member and its claims; returns the generation."""
    _remove(connection, member.group, member.name)
    return _generation(connection, member.group)


def commit(connection: sqlite3.Connection, member: Member, offsets: Mapping[TopicPartition, int]) -> None:
    """Store offsets. Raises PartitionsLost, before any change, when one is not claimed by the member."""
    claims = _claims(connection, member.group)
    lost = [p for p in offsets if claims.get(p) != member.name]
    if lost:
        raise PartitionsLost(lost)
    connection.executemany(
        "INSERT INTO offsets (group_name, topic, partition, next_offset) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
        [(member.group, *p, offset) for p, offset in offsets.items()],
    )


def committed(connection: sqlite3.Connection, group: str) -> dict[TopicPartition, int]:
    """Return where a group goes on."""
    rows = connection.execute("SELECT topic, partition, next_offset FROM offsets WHERE group_name = ?", (group,))
    return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}


def sessions(connection: sqlite3.Connection) -> set[str]:
    """Return the sessions of all members of all groups."""
    return {session for (session,) in connection.execute("SELECT DISTINCT session FROM members")}


def _sign_of_life(connection: sqlite3.Connection, member: Member, now_seconds: float) -> bool:
    """Note that a member is there; returns whether it had to be entered (anew)."""
    updated = connection.execute(
        "UPDATE members SET seen_at_seconds = ? WHERE group_name = ? AND member = ?",
        (now_seconds, member.group, member.name),
    )
    if updated.rowcount:
        return False
    topics = msgspec.json.encode(sorted(member.topics)).decode()
    connection.execute(
        "INSERT INTO members (group_name, member, session, topics, seen_at_seconds) VALUES (?, ?, ?, ?, ?)",
        (member.group, member.name, member.session, topics, now_seconds),
    )
    _advance(connection, member.group)
    return True


def _expel(
    connection: sqlite3.Connection,
    by: Member,
    now_seconds: float,
    session_seconds: float,
    has_ended: Callable[[str], bool],
) -> None:
    others = connection.execute(
        "SELECT member, session, seen_at_seconds FROM members WHERE group_name = ? AND member != ?",
        (by.group, by.name),
    ).fetchall()
    for name, session, seen_at_seconds in others:
        is_silent = abs(now_seconds - seen_at_seconds) > session_seconds
        if is_silent or (session != by.session and has_ended(session)):
            _remove(connection, by.group, name)


def _remove(connection: sqlite3.Connection, group: str, name: str) -> None:
    removed = connection.execute("DELETE FROM members WHERE group_name = ? AND member = ?", (group, name))
    if removed.rowcount:
        connection.execute("DELETE FROM claims WHERE group_name = ? AND member = ?", (group, name))
        _advance(connection, group)


def _advance(connection: sqlite3.Connection, group: str) -> int:
    (generation,) = connection.execute(
        "INSERT INTO groups (name, generation) VALUES (?, 1)"
        " ON CONFLICT DO UPDATE SET generation = generation + 1 RETURNING generation",
        (group,),
    ).fetchone()
    return generation


def _generation(connection: sqlite3.Connection, group: str) -> int:
    (generation,) = connection.execute("SELECT generation FROM groups WHERE name = ?", (group,)).fetchone()
    return generation


def _subscriptions(connection: sqlite3.Connection, group: str) -> dict[str, frozenset[str]]:
    rows = connection.execute("SELECT member, topics FROM members WHERE group_name = ?", (group,))
    return {name: frozenset(msgspec.json.decode(topics, type=list[str])) for name, topics in rows}


def _partition_counts(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, partitions FROM topics"))


def _claims(connection: sqlite3.Connection, group: str) -> dict[TopicPartition, str]:
    rows = connection.execute("SELECT topic, partition, member FROM claims WHERE group_name = ?", (group,))
    return {TopicPartition(topic, partition): member for topic, partition, member in rows}


def _start_at_end(connection: sqlite3.Connection, group: str, partitions: Sequence[TopicPartition]) -> None:
    connection.executemany(
        "INSERT INTO offsets (group_name, topic, partition, next_offset)"
        " SELECT ?, topic, number, end_offset FROM partitions WHERE topic = ? AND number = ?"
        " ON CONFLICT DO NOTHING",
        [(group, *p) for p in partitions],
    )
