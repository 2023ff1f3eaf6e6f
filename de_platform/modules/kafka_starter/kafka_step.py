"""One polled batch of a client's topic becomes events, error records for both sides, and receipts."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from de_platform.modules.kafka_starter.receipt_blocks import Blocks
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, Header, IngestionMethod, Origin
from de_platform.pipeline.ids import digest
from de_platform.pipeline.intake import Submission, receipt, reject, take_in
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.raw_data import to_text
from de_platform.pipeline.topics import NORMALIZATION_ERRORS
from de_platform.services.clock.interface import Clock
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.step import Snapshot, Step


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Which topics are read, and whose they are."""

    event_types: Mapping[str, EventType]
    """By inbound topic."""
    errors_topic: str
    tenant_id: str | None
    """None: shared topics, each event says its tenant."""


class ClientError(msgspec.Struct, frozen=True, kw_only=True):
    """What the client reads on its error topic."""

    errors: tuple[FieldError, ...]
    raw: str
    topic: str
    partition: int
    offset: int


class KafkaStep(Step[Blocks]):
    """Takes events in. The record's place in its topic is the event's identity as a message."""

    skips_replays = False  # inbound headers are the client's: an `origin` among them means nothing

    def __init__(self, group: str, binding: Binding, clock: Clock, metrics: MetricsInterface) -> None:
        self.group = group
        self.topics = tuple(binding.event_types)
        self._binding = binding
        self._clock = clock
        self._metrics = metrics

    def new_state(self, partition: int) -> Blocks:  # noqa: ARG002
        return Blocks()

    async def process(self, batch: Batch, state: Blocks) -> Sequence[Message]:
        submission = self._submission(batch.topic, batch.partition)
        origins = [str(Origin(batch.topic, batch.partition, record.offset)) for record in batch.records]
        positions = [record.offset for record in batch.records]
        intake = take_in(submission, [record.value for record in batch.records], positions=positions, origins=origins)
        offsets = {record.offset: record for record in batch.records}
        refused = [
            self._client_error(batch.topic, batch.partition, offsets[rejection.position], rejection.errors)
            for rejection in intake.rejections
        ]
        receipts = self._receipts(submission, batch, intake.messages, state)
        self._metrics.counter(
            "events_ingested_total",
            len(batch.records),
            service="kafka_starter",
            event_type=submission.event_type.value,
            method=IngestionMethod.KAFKA.value,
        )
        return [*intake.messages, *refused, *receipts]

    def snapshot(self, state: Blocks) -> Snapshot:
        encoded = msgspec.json.encode(state)
        return Snapshot(new_segments={f"blocks-{digest(encoded.decode())}": encoded})

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> Blocks:
        for encoded in segments.values():
            return msgspec.json.decode(encoded, type=Blocks)
        return self.new_state(partition)

    def on_poison(self, topic: str, partition: int, record: Record, reason: str) -> Sequence[Message]:
        """Tell both sides of an event that could not even be examined."""
        errors = (FieldError("", f"could not be processed: {reason[:200]}"),)
        origin = str(Origin(topic, partition, record.offset))
        submission = self._submission(topic, partition)
        refusal = reject(submission, record.value, position=record.offset, errors=errors, origin=origin)
        return [refusal, self._client_error(topic, partition, record, errors)]

    def _submission(self, topic: str, partition: int) -> Submission:
        return Submission(
            tenant_id=self._binding.tenant_id,
            event_type=self._binding.event_types[topic],
            method=IngestionMethod.KAFKA,
            submission_id=f"{topic}/{partition}",
            source_name=topic,
            received_at=self._clock.now(),
        )

    def _client_error(self, topic: str, partition: int, record: Record, errors: tuple[FieldError, ...]) -> Message:
        error = ClientError(
            errors=errors, raw=to_text(record.value), topic=topic, partition=partition, offset=record.offset
        )
        return Message(
            topic=self._binding.errors_topic,
            key=self._binding.tenant_id or record.key,
            value=msgspec.json.encode(error),
            headers={
                Header.EVENT_TYPE: self._binding.event_types[topic].value,
                Header.ORIGIN: str(Origin(topic, partition, record.offset)),
            },
        )

    def _receipts(
        self, submission: Submission, batch: Batch, messages: Sequence[Message], state: Blocks
    ) -> Iterator[Message]:
        """Make the receipts; they carry no origin, because several may come from one record's poll."""
        events = (
            (record.offset, message.key, message.topic != NORMALIZATION_ERRORS)
            for record, message in zip(batch.records, messages, strict=True)
        )
        for first_offset, tenant_id, count in state.count(batch.topic, events):
            yield receipt(
                submission,
                tenant_id=tenant_id,
                first_position=first_offset,
                claimed=count.accepted + count.rejected,
                accepted=count.accepted,
                rejected=count.rejected,
                final=False,
            )
