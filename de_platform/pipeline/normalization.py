"""The normaliser as pure functions over a batch: read, value, decide, route.

What needs the outside world (rates, stored identities) is fetched between these steps by their caller. Nothing here
waits or knows the time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from de_platform.pipeline.currency import USD, RateTable
from de_platform.pipeline.decoding import StampedDecoder, is_plain
from de_platform.pipeline.dedup import Arrivals, Deduplicator, Verdict, Verdicts, to_keys
from de_platform.pipeline.enrichment import identity_members, splice, value_members
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType, Header, Origin
from de_platform.pipeline.instants import utc_day
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.refusals import claims_of, refuse
from de_platform.pipeline.shapes import StampedEvent
from de_platform.pipeline.topics import ALGOS_TOPIC, DUPLICATES, NORMALIZATION_TOPIC, PERSISTENCE_TOPIC
from de_platform.pipeline.validation import is_tenant_id


class Kind(msgspec.Struct, frozen=True):
    """What outcomes are counted by."""

    event_type: EventType
    tenant_id: str
    """"" where it is not known."""


class Lane(msgspec.Struct, frozen=True):
    """What events of one kind have in common."""

    kind: Kind
    key_prefix: str
    """`{tenant_id}_{event_type}_`"""
    persistence_topic: str
    algos_topic: str | None
    """None if the tenant's events are not evaluated as they come."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A valid event on its way to a verdict."""

    record: Record
    lane: Lane
    event: StampedEvent
    day: str
    """UTC day of its transact_time."""
    primary_key: str
    as_they_are: bool
    """The record's text has no escapes, so its strings stand in JSON as they are."""


class Fault(StrEnum):
    """Why a record is refused, in a word."""

    INVALID = "invalid"
    """It is no valid event."""
    NO_VALUE = "no_value"
    """It cannot be converted to US dollars."""


class Refused(msgspec.Struct, frozen=True):
    """A record that becomes an error record."""

    record: Record
    kind: Kind
    fault: Fault
    errors: Sequence[FieldError]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, checked: every record is in one of the two lists, in log order."""

    candidates: list[Candidate]
    refused: list[Refused]


class Valued(msgspec.Struct, frozen=True, kw_only=True):
    """A reading whose candidates can all be valued."""

    candidates: list[Candidate]
    members: list[str]
    """What each candidate is worth, as JSON members."""
    refused: list[Refused]


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch becomes. Per topic, messages are in log order; counts are by kind."""

    messages: list[Message]
    processed: Counter[Kind]
    errors: Counter[tuple[Kind, Fault]]
    duplicates: Counter[Kind]
    redeliveries: Counter[Kind]


class _Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a message on `duplicates`."""

    event_type: str
    primary_key: str
    message_id: str
    original_message_id: str
    tenant_id: str
    received_at: str
    ingestion_method: str
    submission_id: str
    origin: str
    original_event: msgspec.Raw


class Reader:
    """Checks the records of one normalisation topic. Stateless but for what it remembers to be fast."""

    def __init__(self, topic: str, *, is_realtime: Callable[[str], bool]) -> None:
        self._topic = topic
        self._is_realtime = is_realtime
        self._decoders = {
            event_type.value: StampedDecoder(event_type)
            for event_type, its_topic in NORMALIZATION_TOPIC.items()
            if its_topic == topic
        }

    def read(self, batch: Batch) -> Reading:
        """Decode and check every record."""
        candidates: list[Candidate] = []
        refused: list[Refused] = []
        lanes: dict[tuple[str, str], Lane] = {}
        all_plain = is_plain(b"".join([record.value for record in batch.records]))
        for record in batch.records:
            raw = record.value
            plain = all_plain or is_plain(raw)
            try:
                event = self._decoder_of(record).decode(raw, plain=plain)
            except InvalidInput as fault:
                refused.append(Refused(record, self._claimed_kind(record), Fault.INVALID, fault.errors))
                continue
            tenant_id = event.tenant_id
            lane = lanes.get((event.event_type, tenant_id))
            if lane is None:
                lane = lanes[event.event_type, tenant_id] = self._lane(event)
            day = utc_day(event.transact_time)
            primary_key = f"{lane.key_prefix}{event.id}_{day}"
            candidates.append(Candidate(record, lane, event, day, primary_key, plain))
        return Reading(candidates=candidates, refused=refused)

    def _decoder_of(self, record: Record) -> StampedDecoder:
        """Choose by the header, or by the body where there is none. Raises InvalidInput."""
        decoder = self._decoders.get(record.headers.get(Header.EVENT_TYPE, ""))
        if decoder is None:
            decoder = self._decoders.get(claims_of(record).event_type)
        if decoder is None:
            raise InvalidInput.single("event_type", f"must be {' or '.join(self._decoders)} on {self._topic}")
        return decoder

    def _lane(self, event: StampedEvent) -> Lane:
        event_type = EventType(event.event_type)
        return Lane(
            Kind(event_type, event.tenant_id),
            f"{event.tenant_id}_{event_type.value}_",
            PERSISTENCE_TOPIC[event_type],
            ALGOS_TOPIC[event_type] if self._is_realtime(event.tenant_id) else None,
        )

    def _claimed_kind(self, record: Record) -> Kind:
        claims = claims_of(record)
        event_type = claims.event_type if claims.event_type in self._decoders else next(iter(self._decoders))
        return Kind(EventType(event_type), claims.tenant_id if is_tenant_id(claims.tenant_id) else "")


def rates_needed_at(reading: Reading) -> str | None:
    """Return the latest instant whose knowledge of rates the batch needs; None if it needs no rates."""
    return max((_known_at(c.event) for c in reading.candidates if c.event.currency != USD), default=None)


def value(reading: Reading, rates: RateTable) -> Valued:
    """Say what each candidate is worth; those that cannot be valued are refused."""
    candidates: list[Candidate] = []
    members: list[str] = []
    refused = list(reading.refused)
    for candidate in reading.candidates:
        worth = value_members(candidate.event, candidate.day, rates)
        if isinstance(worth, FieldError):
            refused.append(Refused(candidate.record, candidate.lane.kind, Fault.NO_VALUE, (worth,)))
        else:
            candidates.append(candidate)
            members.append(worth)
    refused.sort(key=lambda one: one.record.offset)
    return Valued(candidates=candidates, members=members, refused=refused)


def arrivals(valued: Valued, dedup: Deduplicator) -> Arrivals:
    """Return the candidates as dedup sees them.

    With the length of the tenant's name in front the primary key says exactly one tuple (tenant, type,
    id, day); alone it does not, because names may contain underscores.
    """
    candidates = valued.candidates
    digest = dedup.digest
    return Arrivals(
        keys=to_keys([digest(f"{len(c.event.tenant_id)}:{c.primary_key}") for c in candidates]),
        days=[c.day for c in candidates],
        message_ids=[c.event.message_id for c in candidates],
        latest_at=max([c.event.ingested_at for c in candidates], default=""),
    )


def route(batch: Batch, valued: Valued, decided: Verdicts, *, normalized_at: str) -> Outputs:
    """Turn verdicts into messages: to persistence and the algorithms, to the duplicates, to the errors.

    All go to the partition of their input and carry their origin. `normalized_at` is an instant as
    `format_instant` writes it.
    """
    log = f"{batch.topic}:{batch.partition}"
    stamp = f',"normalized_at":"{normalized_at}","origin":"{log}:'
    messages: list[Message] = []
    kinds: dict[Verdict, list[Kind]] = {verdict: [] for verdict in Verdict}
    for row, (candidate, worth, verdict) in enumerate(
        zip(valued.candidates, valued.members, decided.verdicts, strict=True)
    ):
        kinds[verdict].append(candidate.lane.kind)
        if verdict is Verdict.NEW:
            offset = candidate.record.offset
            messages += _event_messages(candidate, worth, batch.partition, f"{log}:{offset}", f'{stamp}{offset}"')
        elif verdict is Verdict.DUPLICATE:
            origin = Origin(batch.topic, batch.partition, candidate.record.offset)
            messages.append(_duplicate_message(candidate, origin, decided.originals[row]))
    for refused in valued.refused:
        origin = Origin(batch.topic, batch.partition, refused.record.offset)
        messages.append(
            refuse(
                refused.record,
                origin,
                refused.errors,
                default_type=refused.kind.event_type,
                created_at=normalized_at,
            )
        )
    return Outputs(
        messages=messages,
        processed=Counter(kinds[Verdict.NEW]),
        errors=Counter((refused.kind, refused.fault) for refused in valued.refused),
        duplicates=Counter(kinds[Verdict.DUPLICATE]),
        redeliveries=Counter(kinds[Verdict.REDELIVERY]),
    )


def _event_messages(candidate: Candidate, worth: str, partition: int, origin: str, stamp: str) -> list[Message]:
    """Return an enriched event for the store and, in realtime mode, the same for the algorithms."""
    event, lane = candidate.event, candidate.lane
    names = identity_members(event, candidate.primary_key, as_they_are=candidate.as_they_are)
    value = splice(candidate.record.value, f"{names}{worth}{stamp}")
    headers = _headers(event, origin)
    tenant_id = event.tenant_id
    stored = Message(topic=lane.persistence_topic, key=tenant_id, value=value, headers=headers, partition=partition)
    if lane.algos_topic is None:
        return [stored]
    return [
        stored,
        Message(topic=lane.algos_topic, key=tenant_id, value=value, headers=headers, partition=partition),
    ]


def _duplicate_message(candidate: Candidate, origin: Origin, original_message_id: str) -> Message:
    event = candidate.event
    body = _Duplicate(
        event_type=event.event_type,
        primary_key=candidate.primary_key,
        message_id=event.message_id,
        original_message_id=original_message_id,
        tenant_id=event.tenant_id,
        received_at=event.ingested_at,
        ingestion_method=event.ingestion_method,
        submission_id=event.submission_id,
        origin=str(origin),
        original_event=msgspec.Raw(candidate.record.value),
    )
    return Message(
        topic=DUPLICATES,
        key=event.tenant_id,
        value=msgspec.json.encode(body),
        headers=_headers(event, str(origin)),
        partition=origin.partition,
    )


def _headers(event: StampedEvent, origin: str) -> Mapping[str, str]:
    return {
        Header.TENANT_ID: event.tenant_id,
        Header.EVENT_TYPE: event.event_type,
        Header.INGESTION_METHOD: event.ingestion_method,
        Header.INGESTED_AT: event.ingested_at,
        Header.MESSAGE_ID: event.message_id,
        Header.ORIGIN: origin,
    }


def _known_at(event: StampedEvent) -> str:
    return event.ingested_at if event.replayed_at is msgspec.UNSET else event.replayed_at
