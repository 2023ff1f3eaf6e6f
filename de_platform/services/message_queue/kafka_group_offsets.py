"""Where consumer groups go on, asked from outside of them.

By a consumer that never joins, because the library's admin client ends the process when a coordinator answers such a
question after its time is over (librdkafka 2.16, an assertion in `rd_kafka_admin_coord_response_parse`).
"""

import asyncio
from collections.abc import Sequence

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Place

from de_platform.pipeline.errors import Unavailable
from de_platform.services.message_queue.kafka_errors import DEPENDENCY, as_platform_error, translated
from de_platform.services.message_queue.kafka_settings import KafkaSettings
from de_platform.services.message_queue.kafka_thread import CallingThread

_GRACE_SECONDS = 2.0


class GroupOffsets:
    """One silent consumer for each group that was asked for. Raises Unavailable."""

    def __init__(self, settings: KafkaSettings, *, answer_seconds: float) -> None:
        self._settings = settings
        self._answer_seconds = answer_seconds
        self._thread = CallingThread("kafka-group-offsets")
        self._consumers: dict[str, Consumer] = {}

    async def committed(self, group: str, places: Sequence[Place]) -> list[Place]:
        """Return those of these partitions in which the group has committed, with where it goes on."""
        call = asyncio.wrap_future(self._thread.submit(lambda: self._ask(group, places)))
        try:
            found = await asyncio.wait_for(call, self._answer_seconds + _GRACE_SECONDS)
        except TimeoutError:
            raise Unavailable(DEPENDENCY, "does not answer") from None
        for place in found:
            if place.error is not None:
                raise as_platform_error(place.error)
        return [place for place in found if place.offset >= 0]

    def close(self) -> None:
        """Close the consumers and end the thread. Does not wait."""
        self._thread.submit(self._close_consumers)
        self._thread.stop()

    def _ask(self, group: str, places: Sequence[Place]) -> list[Place]:
        if group not in self._consumers:
            self._consumers[group] = Consumer({**self._settings.membership(group), "log_level": 0})
        with translated():
            return self._consumers[group].committed(list(places), timeout=self._answer_seconds)

    def _close_consumers(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()
