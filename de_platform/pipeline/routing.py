"""Turn verdicts into messages: events to the store and the algorithms, duplicates and errors to their topics.

Every message goes to the partition of its input and carries its origin. On each topic, messages are in log order.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec

from de_platform.pipeline.dedup import Verdicts
from de_platform.pipeline.enrichment import identity_members
from de_platform.pipeline.events import EventType, Header, Origin
from de_platform.pipeline.messages import Message
from de_platform.pipeline.normalization import Lot, Refused, Valued
from de_platform.pipeline.refusals import refuse
from de_platform.pipeline.shapes import StampedEvent, column
from de_platform.pipeline.topics import ALGOS_TOPIC, DUPLICATES, NORMALIZATION_ERRORS, PERSISTENCE_TOPIC

_TENANT_ID, _EVENT_TYPE, _INGESTION_METHOD = Header.TENANT_ID, Header.EVENT_TYPE, Header.INGESTION_METHOD
_INGESTED_AT, _MESSAGE_ID, _ORIGIN = Header.INGESTED_AT, Header.MESSAGE_ID, Header.ORIGIN
"""Bound here because they are looked up for every event."""
_TOPICS = {event_type: (PERSISTENCE_TOPIC[event_type], ALGOS_TOPIC[event_type]) for event_type in EventType}


class Judged(NamedTuple):
    """A lot with its verdicts."""

    valued: Valued
    verdicts: Verdicts


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the messages of a batch come from and go to."""

    topic: str
    partition: int
    normalized_at: str
    """An instant as `format_instant` writes it."""
    is_realtime: Callable[[str], bool]
    """Whether a tenant's events go to the running algorithms."""

    def origin(self, offset: int) -> Origin:
        """Name a record of the batch."""
        return Origin(self.topic, self.partition, offset)


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


class _Track(NamedTuple):
    """Messages for one topic, and the offsets of the records that they were made from, ascending."""

    topic: str
    offsets: list[int]
    messages: list[Message]


def route(routing: Routing, judged: Sequence[Judged], refused: Sequence[Refused]) -> Mapping[str, list[Message]]:
    """Return all messages of a batch, by topic."""
    tracks: dict[str, list[_Track]] = {}
    for valued, verdicts in judged:
        for track in _tracks(routing, valued, verdicts):
            tracks.setdefault(track.topic, []).append(track)
    messages = {topic: merged for topic, its_tracks in tracks.items() if (merged := _merged(its_tracks))}
    if refused:
        in_order = sorted(refused, key=lambda one: one.record.offset)
        messages[NORMALIZATION_ERRORS] = [_error(routing, one) for one in in_order]
    return messages


def _tracks(routing: Routing, valued: Valued, verdicts: Verdicts) -> list[_Track]:
    new = verdicts.new()
    tracks = _events(routing, valued if len(new) == verdicts.count else valued.only(new))
    if verdicts.originals:
        tracks.append(_duplicates(routing, valued.lot, verdicts))
    return tracks


def _merged(tracks: Sequence[_Track]) -> list[Message]:
    """Bring the messages of one topic into log order."""
    if len(tracks) == 1:
        return tracks[0].messages
    placed = [pair for track in tracks for pair in zip(track.offsets, track.messages, strict=True)]
    return [message for _, message in sorted(placed, key=itemgetter(0))]


def _events(routing: Routing, valued: Valued) -> list[_Track]:
    """Make the enriched events for the store and, of tenants in realtime mode, the same for the algorithms.

    One pass over the rows, because an event that is still in the processor's cache costs half as much. What
    is added is spliced in before the final brace.
    """
    lot, partition = valued.lot, routing.partition
    log = f"{routing.topic}:{partition}:"
    stamp = f',"normalized_at":"{routing.normalized_at}","origin":"'
    event_type, stored_topic, algos_topic = lot.event_type.value, *_TOPICS[lot.event_type]
    is_realtime = {tenant_id: routing.is_realtime(tenant_id) for tenant_id in set(column(lot.events, "tenant_id"))}
    stored = _Track(stored_topic, [], [])
    evaluated = _Track(algos_topic, [], [])
    names = identity_members(lot.event_type, lot.events, lot.primary_keys)
    for record, event, name, worth in zip(lot.records, lot.events, names, valued.members, strict=True):
        offset, tenant_id = record.offset, event.tenant_id
        origin = f"{log}{offset}"
        value = record.value.rstrip()[:-1] + f'{name}{worth}{stamp}{origin}"}}'.encode()
        headers = {
            _TENANT_ID: tenant_id,
            _EVENT_TYPE: event_type,
            _INGESTION_METHOD: event.ingestion_method,
            _INGESTED_AT: event.ingested_at,
            _MESSAGE_ID: event.message_id,
            _ORIGIN: origin,
        }
        stored.offsets.append(offset)
        stored.messages.append(
            Message(topic=stored_topic, key=tenant_id, value=value, headers=headers, partition=partition)
        )
        if is_realtime[tenant_id]:
            evaluated.offsets.append(offset)
            evaluated.messages.append(
                Message(topic=algos_topic, key=tenant_id, value=value, headers=headers, partition=partition)
            )
    return [stored, evaluated]


def _headers(event: StampedEvent, origin: str) -> Mapping[str, str]:
    return {
        _TENANT_ID: event.tenant_id,
        _EVENT_TYPE: event.event_type,
        _INGESTION_METHOD: event.ingestion_method,
        _INGESTED_AT: event.ingested_at,
        _MESSAGE_ID: event.message_id,
        _ORIGIN: origin,
    }


def _duplicates(routing: Routing, lot: Lot, verdicts: Verdicts) -> _Track:
    """Make a message for each duplicate, with its whole event and the message that was first."""
    track = _Track(DUPLICATES, [], [])
    for row, original_message_id in verdicts.originals.items():
        record, event = lot.records[row], lot.events[row]
        origin = str(routing.origin(record.offset))
        body = _Duplicate(
            event_type=event.event_type,
            primary_key=lot.primary_keys[row],
            message_id=event.message_id,
            original_message_id=original_message_id,
            tenant_id=event.tenant_id,
            received_at=event.ingested_at,
            ingestion_method=event.ingestion_method,
            submission_id=event.submission_id,
            origin=origin,
            original_event=msgspec.Raw(record.value),
        )
        track.offsets.append(record.offset)
        track.messages.append(
            Message(
                topic=DUPLICATES,
                key=event.tenant_id,
                value=msgspec.json.encode(body),
                headers=_headers(event, origin),
                partition=routing.partition,
            )
        )
    return track


def _error(routing: Routing, refused: Refused) -> Message:
    return refuse(
        refused.record,
        routing.origin(refused.record.offset),
        refused.errors,
        default_type=refused.kind.event_type,
        created_at=routing.normalized_at,
    )
