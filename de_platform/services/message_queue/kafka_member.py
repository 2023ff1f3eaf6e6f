"""librdkafka's member of a group, and the thread that all its blocking calls are made by.

librdkafka announces a rebalance in the middle of a fetch and goes on when its callback returns. So the
thread stays in the callback until the event loop has let the listener finish; the commits that belong to
that are made from inside the callback, because its client admits one thread at a time.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum, auto
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Place

from de_platform.pipeline.errors import PlatformError, Unavailable
from de_platform.pipeline.messages import Record, TopicPartition
from de_platform.services.message_queue.interface import PartitionsLost
from de_platform.services.message_queue.kafka_errors import (
    DEPENDENCY,
    NOT_A_MEMBER,
    LibraryLog,
    as_platform_error,
    error_of,
    translated,
)
from de_platform.services.message_queue.kafka_feeds import Fetched
from de_platform.services.message_queue.kafka_settings import KafkaSettings
from de_platform.services.message_queue.kafka_thread import CallingThread

_ANSWER_SECONDS = 10.0
_SEEK_SECONDS = 5.0
_SEEK_RETRY_SECONDS = 0.01
_CHUNK_RECORDS = 1000
_MAX_POLL_EXCEEDED = KafkaError._MAX_POLL_EXCEEDED  # pyright: ignore[reportPrivateUsage]
"""What follows from it, the loss of all partitions, is told by the callback."""
_END = KafkaError._PARTITION_EOF  # pyright: ignore[reportPrivateUsage]
_NOT_YET_ACTIVE = KafkaError._STATE  # pyright: ignore[reportPrivateUsage]


class Turn(Enum):
    """What may become of partitions."""

    ASSIGNED = auto()
    REVOKED = auto()
    LOST = auto()


class Change:
    """One turn of the group. What is revoked or lost keeps the thread waiting until it is answered."""

    def __init__(self, turn: Turn, partitions: Iterable[TopicPartition], standing: bytes) -> None:
        self.turn = turn
        self.partitions = frozenset(partitions)
        self.standing = standing
        """The membership in which it was assigned: group, generation and member, as librdkafka writes them."""
        self.is_answered = False


class GroupMember:
    """Methods that return a future are done by the thread, one after the other; the others return at once.

    A call may block for as long as the cluster is silent (a commit: for a session). Nobody should wait that long for
    its future, and what is called after it comes after it.
    """

    def __init__(
        self, settings: KafkaSettings, group: str, topics: Sequence[str], on_change: Callable[[Change], None]
    ) -> None:
        """Join. `on_change` is called by the thread, which then makes calls until `answer` or `leave`."""
        log = LibraryLog()
        self._settings = settings
        self._on_change = on_change
        self._is_leaving = False
        self._standing = b""
        self._held: frozenset[TopicPartition] = frozenset()
        with translated():
            self._consumer = Consumer(settings.membership(group), logger=log, error_cb=log.note)
        self._thread = CallingThread(f"kafka-consumer-{group}")
        with translated():
            self._consumer.subscribe(
                [settings.topic_there(topic) for topic in topics],
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )

    def fetch(
        self, *, max_records: int, max_bytes: int, timeout_seconds: float, paused: frozenset[TopicPartition]
    ) -> "Future[Fetched]":
        """Wait for a record of what is not paused and take what else is there by then.

        `max_bytes` may be passed by one chunk of records.
        """

        def fetch() -> Fetched:
            self._hold(paused)
            return self._fetch(max_records, max_bytes, timeout_seconds)

        return self._thread.submit(fetch)

    def assign(self, starts: Mapping[TopicPartition, int | None]) -> "Future[None]":
        """Begin to fetch exactly these partitions, each at its offset or at the first record held."""
        places = [self._place(p, OFFSET_BEGINNING if start is None else start) for p, start in starts.items()]

        def assign() -> None:
            with translated():
                self._consumer.assign(places)
                self._consumer.resume(places)
            self._held = frozenset()

        return self._thread.submit(assign)

    def committed(self, partitions: Iterable[TopicPartition]) -> "Future[dict[TopicPartition, int]]":
        """Ask where the group goes on; partitions where it has not committed are left out."""
        places = [self._place(p) for p in partitions]

        def ask() -> dict[TopicPartition, int]:
            with translated():
                found = self._consumer.committed(places, timeout=_ANSWER_SECONDS)
            for place in found:
                if place.error is not None:
                    raise as_platform_error(place.error)
            return {self._partition(place): place.offset for place in found if place.offset >= 0}

        return self._thread.submit(ask)

    def seek(self, partition: TopicPartition, offset: int) -> "Future[None]":
        """Fetch on from `offset`."""
        place = self._place(partition, offset)
        return self._thread.submit(lambda: self._seek(place))

    def commit(self, offsets: Mapping[TopicPartition, int], standing: bytes) -> "Future[None]":
        """Store offsets for as long as the membership is still that one; raises PartitionsLost if it is not."""
        return self._thread.submit(lambda: self._commit(offsets, standing))

    def answer(self, change: Change) -> None:
        """Let the group go on."""
        change.is_answered = True
        self._thread.wake()

    def leave(self) -> "Future[None]":
        """Leave the group and end the thread, whatever it waits for."""
        self._is_leaving = True
        future = self._thread.submit(self._consumer.close)
        future.add_done_callback(lambda _: self._thread.stop())
        return future

    def _hold(self, paused: frozenset[TopicPartition]) -> None:
        """Have the cluster send nothing of these. What is here of them is kept by the caller and goes on after it."""
        with translated():
            if more := paused - self._held:
                self._consumer.pause([self._place(p) for p in more])
            if less := self._held - paused:
                self._consumer.resume([self._place(p) for p in less])
        self._held = paused

    def _fetch(self, max_records: int, max_bytes: int, timeout_seconds: float) -> Fetched:
        gathering = _Gathering(self._settings)
        try:
            messages = self._consumer.consume(1, timeout_seconds)
            while messages:
                gathering.add(messages)
                room = max_records - gathering.count
                if room <= 0 or gathering.size >= max_bytes:
                    break
                messages = self._consumer.consume(min(room, _CHUNK_RECORDS), 0)
        except KafkaException as exception:
            gathering.failure = as_platform_error(error_of(exception))
        return Fetched(gathering.records, gathering.ends, gathering.failure)

    def _seek(self, place: Place) -> None:
        """A partition that was only just assigned may need a moment until it can be moved."""
        deadline = time.monotonic() + _SEEK_SECONDS
        while True:
            try:
                self._consumer.seek(place)
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() != _NOT_YET_ACTIVE or time.monotonic() >= deadline:
                    raise as_platform_error(error) from exception
                time.sleep(_SEEK_RETRY_SECONDS)
            else:
                return

    def _commit(self, offsets: Mapping[TopicPartition, int], standing: bytes) -> None:
        """The check comes before the broker's own: a member without a group may commit to one without members."""
        if self._consumer.consumer_group_metadata() != standing:
            raise PartitionsLost(offsets)
        places = [self._place(p, offset) for p, offset in offsets.items()]
        try:
            stored = self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as exception:
            self._refuse(error_of(exception), offsets, exception)
        else:
            for place in stored:
                if place.error is not None:
                    self._refuse(place.error, offsets, None)

    @staticmethod
    def _refuse(error: KafkaError, offsets: Mapping[TopicPartition, int], cause: Exception | None) -> None:
        if error.code() in NOT_A_MEMBER:
            raise PartitionsLost(offsets) from cause
        if error.fatal():
            raise Unavailable(DEPENDENCY, f"this member cannot go on: {error.str()}") from cause
        raise as_platform_error(error) from cause

    def _on_assign(self, consumer: Consumer, places: Sequence[Place]) -> None:
        """Own them without fetching yet: where to begin is for the listener to say, outside of this callback."""
        consumer.assign([])
        self._standing = consumer.consumer_group_metadata()
        self._on_change(Change(Turn.ASSIGNED, map(self._partition, places), self._standing))

    def _on_revoke(self, consumer: Consumer, places: Sequence[Place]) -> None:
        """What was to be given up may be lost by now, if this member has been silent since."""
        is_member = consumer.consumer_group_metadata() == self._standing
        self._tell_and_wait(
            Change(Turn.REVOKED if is_member else Turn.LOST, map(self._partition, places), self._standing)
        )

    def _on_lost(self, _consumer: Consumer, places: Sequence[Place]) -> None:
        self._tell_and_wait(Change(Turn.LOST, map(self._partition, places), self._standing))

    def _tell_and_wait(self, change: Change) -> None:
        if not self._is_leaving:
            self._on_change(change)
            self._thread.serve_until(lambda: change.is_answered or self._is_leaving)

    def _place(self, partition: TopicPartition, offset: int | None = None) -> Place:
        topic = self._settings.topic_there(partition.topic)
        return Place(topic, partition.partition) if offset is None else Place(topic, partition.partition, offset)

    def _partition(self, place: Place) -> TopicPartition:
        return TopicPartition(self._settings.topic_here(place.topic), place.partition)


class _Gathering:
    """Sorts messages by partition; nothing of what was taken from librdkafka is lost to a failure."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partitions: dict[tuple[str | None, int | None], TopicPartition] = {}
        self.records: dict[TopicPartition, list[Record]] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.failure: PlatformError | None = None
        self.count = 0
        self.size = 0

    def add(self, messages: Sequence[Message]) -> None:
        for message in messages:
            partition = self._partition(message)
            if (error := message.error()) is not None:
                self._note(error, partition, message.offset() or 0)
                continue
            record = _record(message)
            self.records.setdefault(partition, []).append(record)
            self.ends.pop(partition, None)
            self.size += len(record.value)
        self.count += len(messages)

    def _note(self, error: KafkaError, partition: TopicPartition, offset: int) -> None:
        if error.code() == _END:
            self.ends[partition] = offset
        elif error.code() != _MAX_POLL_EXCEEDED:
            self.failure = as_platform_error(error)

    def _partition(self, message: Message) -> TopicPartition:
        at = (message.topic(), message.partition())
        if at not in self._partitions:
            topic, number = at
            self._partitions[at] = TopicPartition(self._settings.topic_here(topic or ""), number or 0)
        return self._partitions[at]


def _record(message: Message) -> Record:
    """Take over a message. What others wrote may lack a key or a value, or have bytes that are no text."""
    offset, key, value = message.offset() or 0, message.key(), message.value() or b""
    headers = cast("Sequence[tuple[str, bytes]]", message.headers() or ())
    try:
        return Record(offset, _text(key), value, {name: text.decode() for name, text in headers})
    except (UnicodeDecodeError, AttributeError):
        return Record(offset, _text(key), value, {name: _text(text) for name, text in headers})


def _text(value: str | bytes | None) -> str:
    return value if isinstance(value, str) else (value or b"").decode("utf-8", "replace")
