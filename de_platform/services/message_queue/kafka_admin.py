"""Topics of a Kafka cluster, and where logs and groups are."""

# The library documents the names of its admin package without listing them for re-export.
# pyright: reportPrivateImportUsage=false

import asyncio
from collections import deque
from collections.abc import Collection, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ListOffsetsResultInfo,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS, Watermarks
from de_platform.services.message_queue.kafka_errors import DEPENDENCY, as_platform_error, error_of, translated
from de_platform.services.message_queue.kafka_group_offsets import GroupOffsets
from de_platform.services.message_queue.kafka_settings import KafkaSettings
from de_platform.services.message_queue.kafka_thread import CallingThread

ANSWER_SECONDS = 10.0
_HEALTH_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.05
_REPLACE_SECONDS = 2.0
_RETIRED_SECONDS = 60.0
_MS_PER_HOUR = 3_600_000
_FOREVER_MS = -1
_RETENTION = "retention.ms"
_NO_LEADER = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._NOENT,
    }
)
"""A broker does not know a partition yet that another one has just made, or not any more."""
_NO_LIBRARY_LOG: Mapping[str, int] = {"log_level": 0}
"""An admin client has no loop that would serve log lines; what goes wrong comes out of its calls."""


class KafkaAdmin:
    """All names are those that callers use, without the settings' prefixes. Every method raises Unavailable."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        """Raises InvalidInput for settings that the library refuses (a certificate that is not there, say)."""
        self._settings = settings
        self._clock = clock
        self._client = _client(settings)
        self._retired: deque[_Retired] = deque()
        self._thread = CallingThread("kafka-admin")
        self._group_offsets = GroupOffsets(settings, answer_seconds=ANSWER_SECONDS)
        self._counts: dict[str, int] = {}

    def close(self) -> None:
        """End the threads."""
        self._group_offsets.close()
        self._thread.stop()

    async def check(self) -> None:
        """Return when a broker answers, after three seconds at most."""
        await self._look(_HEALTH_SECONDS)

    async def partition_counts(self, topics: Collection[str]) -> dict[str, int]:
        """Return how many partitions topics have; those that do not exist are left out.

        What was seen once is not asked for again: partition counts never change.
        """
        if not self._counts.keys() >= set(topics):
            self._counts = await self._look(ANSWER_SECONDS)
        return {topic: self._counts[topic] for topic in topics if topic in self._counts}

    async def ensure(self, topics: Collection[str]) -> dict[str, int]:
        """Return how many partitions topics have, creating those that do not exist."""
        counts = await self.partition_counts(topics)
        missing = set(topics) - counts.keys()
        if missing:
            await self._create(dict.fromkeys(missing, DEFAULT_PARTITIONS), {})
            counts = await self.partition_counts(topics)
        return counts

    def forget(self, topics: Iterable[str]) -> None:
        """Look at these again before they are used."""
        for topic in topics:
            self._counts.pop(topic, None)

    async def create_topics(self, topics: Mapping[str, int], retention_hours: Mapping[str, int | None]) -> None:
        """Effects in order: 1. what is missing is created, 2. the others' retention is altered where it differs."""
        existing = await self.partition_counts(topics)
        retention = {topic: _retention_ms(hours) for topic, hours in retention_hours.items() if topic in topics}
        await self._create({topic: n for topic, n in topics.items() if topic not in existing}, retention)
        await self._alter_retention({topic: text for topic, text in retention.items() if topic in existing})

    async def watermarks(self, topics: Collection[str]) -> dict[TopicPartition, Watermarks]:
        """Return the ends of all partitions of these topics; `high` counts what is appended but not committed yet."""
        partitions = await self._partitions(topics)
        lows = await self._offsets(partitions, is_low=True)
        highs = await self._offsets(partitions, is_low=False)
        return {partition: Watermarks(lows[partition], highs[partition]) for partition in partitions}

    async def ends(self, topics: Collection[str]) -> dict[TopicPartition, int]:
        """Return where the next record of each partition will come, or later."""
        return await self._offsets(await self._partitions(topics), is_low=False)

    async def committed(self, group: str, topics: Collection[str]) -> dict[TopicPartition, int]:
        """Return where a group goes on, for partitions where it has committed."""
        partitions = await self._partitions(topics)
        if not partitions:
            return {}
        found = await self._group_offsets.committed(group, [self._place(partition) for partition in partitions])
        return {self._partition(place): place.offset for place in found}

    @contextmanager
    def _client_replaced_after_failure(self) -> Generator[None]:
        """Ask by a new client after a failure: one may go on believing in an old leader."""
        try:
            yield
        except Unavailable:
            self._replace_client()
            raise

    def _replace_client(self) -> None:
        """Take a new client, at most every few seconds.

        The library ends the process if a client goes while it still works on a question, so old ones are let go
        only when all their questions must have timed out, and in the thread, because that may take a while.
        """
        now = self._clock.monotonic_seconds()
        if self._retired and now - self._retired[-1].at_seconds < _REPLACE_SECONDS:
            return
        self._retired.append(_Retired(now, self._client))
        self._client = _client(self._settings)
        while now - self._retired[0].at_seconds > _RETIRED_SECONDS:
            self._thread.submit(partial(_let_go, [self._retired.popleft()]))

    async def _look(self, timeout_seconds: float) -> dict[str, int]:
        """Ask for all topics and their partition counts."""

        def ask() -> dict[str, int]:
            with translated():
                found = self._client.list_topics(timeout=timeout_seconds)
            return {
                self._settings.topic_here(name): len(topic.partitions)
                for name, topic in found.topics.items()
                if topic.error is None and name.startswith(self._settings.topic_prefix)
            }

        call = asyncio.wrap_future(self._thread.submit(ask))
        try:
            return await asyncio.wait_for(call, timeout_seconds + _HEALTH_SECONDS)
        except TimeoutError:
            raise Unavailable(DEPENDENCY, "does not answer") from None

    async def _create(self, topics: Mapping[str, int], retention: Mapping[str, str]) -> None:
        """Create topics and wait until they can be seen. What somebody else creates meanwhile is as good."""
        if not topics:
            return
        wanted = [
            NewTopic(
                self._settings.topic_there(topic),
                num_partitions=partitions,
                replication_factor=self._settings.replication_factor or -1,
                config={_RETENTION: retention[topic]} if topic in retention else {},
            )
            for topic, partitions in topics.items()
        ]
        with translated():
            futures = self._client.create_topics(
                wanted, operation_timeout=ANSWER_SECONDS, request_timeout=ANSWER_SECONDS
            )
        for future in futures.values():
            await _result(future, harmless={KafkaError.TOPIC_ALREADY_EXISTS})
        deadline = self._clock.monotonic_seconds() + ANSWER_SECONDS
        while len(await self.partition_counts(topics.keys())) < len(topics):
            if self._clock.monotonic_seconds() >= deadline:
                raise Unavailable(DEPENDENCY, "topics that were created cannot be seen yet")
            await self._clock.sleep(_LOOK_AGAIN_SECONDS)

    async def _alter_retention(self, retention: Mapping[str, str]) -> None:
        resources = {
            topic: ConfigResource(ResourceType.TOPIC, self._settings.topic_there(topic)) for topic in retention
        }
        if not resources:
            return
        with translated():
            described = self._client.describe_configs(list(resources.values()), request_timeout=ANSWER_SECONDS)
        altered: list[ConfigResource] = []
        for topic, resource in resources.items():
            entries = await _result(described[resource])
            if entries[_RETENTION].value != retention[topic]:
                entry = ConfigEntry(_RETENTION, retention[topic], incremental_operation=AlterConfigOpType.SET)
                altered.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=[entry]))
        if altered:
            with translated():
                futures = self._client.incremental_alter_configs(altered, request_timeout=ANSWER_SECONDS)
            for future in futures.values():
                await _result(future)

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        counts = await self.partition_counts(topics)
        return [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]

    async def _offsets(self, partitions: Collection[TopicPartition], *, is_low: bool) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        spec = OffsetSpec.earliest() if is_low else OffsetSpec.latest()
        assert spec is not None, "the library makes them while it is imported"
        places: dict[Place, OffsetSpec] = {self._place(partition): spec for partition in partitions}
        deadline = self._clock.monotonic_seconds() + ANSWER_SECONDS
        found: dict[TopicPartition, int] = {}
        while places:
            with translated():
                futures = self._client.list_offsets(places, request_timeout=ANSWER_SECONDS)
            is_last_try = self._clock.monotonic_seconds() >= deadline
            for place, future in futures.items():
                with self._client_replaced_after_failure():
                    info: ListOffsetsResultInfo | None = await _result(
                        future, harmless=() if is_last_try else _NO_LEADER
                    )
                if info is not None:
                    found[self._partition(place)] = info.offset
                    del places[place]
            if places:
                await self._clock.sleep(_LOOK_AGAIN_SECONDS)
        return found

    def _place(self, partition: TopicPartition) -> Place:
        return Place(self._settings.topic_there(partition.topic), partition.partition)

    def _partition(self, place: Place) -> TopicPartition:
        return TopicPartition(self._settings.topic_here(place.topic), place.partition)


def _client(settings: KafkaSettings) -> AdminClient:
    try:
        return AdminClient({**settings.connection(), **_NO_LIBRARY_LOG})
    except KafkaException as exception:
        raise InvalidInput.single("MQ_KAFKA_*", error_of(exception).str()) from exception


class _Retired(NamedTuple):
    """A client that is not asked any more, and since when on the clock."""

    at_seconds: float
    client: AdminClient


def _let_go(clients: list[_Retired]) -> None:
    clients.clear()


def _retention_ms(hours: int | None) -> str:
    return str(_FOREVER_MS if hours is None else hours * _MS_PER_HOUR)


async def _result(future: "Future[Any]", *, harmless: Collection[int] = ()) -> Any:
    """Wait for an admin operation, which has a time limit of its own. Returns None for a harmless error."""
    try:
        return await asyncio.wrap_future(future)
    except KafkaException as exception:
        error = error_of(exception)
        if error.code() in harmless:
            return None
        raise as_platform_error(error) from exception
