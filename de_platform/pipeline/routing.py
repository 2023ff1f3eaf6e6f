"""Turn verdicts into messages: events to the store and the algorithms, duplicates and errors to their topics.

Every message goes to the partition of its input and carries its origin. On each topic, messages are in log order.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import itemgetter
from typing import NamedTuple

import msgspec

from de_platform.pipeline.dedup import Verdicts
from de_platform.pipeline.enrichment import identity_members
from de_platform.pipeline.events import EventType, Header, Origin
from de_platform.pipeline.messages import Message
from de_platform.pipeline.normalization import Refused, Valued
from de_platform.pipeline.refusals import claims_of, refuse
from de_platform.pipeline.shapes import column
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
        tracks.append(_duplicates(routing, valued, verdicts))
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
    is_realtime = {tenant_id: routing.is_realtime(tenant_id) for tenant_id in set(lot.stamps.tenant_ids)}
    offsets: list[int] = column(lot.records, "offset")
    stored: list[Message] = []
    evaluated: list[Message] = []
    for record, offset, name, worth, tenant_id, message_id, method, ingested_at in zip(
        lot.records,
        offsets,
        identity_members(lot, valued.primary_keys),
        valued.members,
        lot.stamps.tenant_ids,
        lot.stamps.message_ids,
        lot.stamps.ingestion_methods,
        lot.stamps.ingested_at,
        strict=True,
    ):
        origin = f"{log}{offset}"
        value = record.value.rstrip()[:-1] + f'{name}{worth}{stamp}{origin}"}}'.encode()
        headers = {
            _TENANT_ID: tenant_id,
            _EVENT_TYPE: event_type,
            _INGESTION_METHOD: method,
            _INGESTED_AT: ingested_at,
            _MESSAGE_ID: message_id,
            _ORIGIN: origin,
        }
        stored.append(Message(topic=stored_topic, key=tenant_id, value=value, headers=headers, partition=partition))
        if is_realtime[tenant_id]:
            evaluated.append(
                Message(topic=algos_topic, key=tenant_id, value=value, headers=headers, partition=partition)
            )
    realtime = [is_realtime[tenant_id] for tenant_id in lot.stamps.tenant_ids]
    return [_Track(stored_topic, offsets, stored), _Track(algos_topic, list(compress(offsets, realtime)), evaluated)]


def _duplicates(routing: Routing, valued: Valued, verdicts: Verdicts) -> _Track:
    """Make a message for each duplicate, with its whole event and the message that was first."""
    track = _Track(DUPLICATES, [], [])
    lot = valued.lot
    for row, original_message_id in verdicts.originals.items():
        record = lot.records[row]
        body = _Duplicate(
            event_type=lot.event_type.value,
            primary_key=valued.primary_keys[row],
            message_id=lot.stamps.message_ids[row],
            original_message_id=original_message_id,
            tenant_id=lot.stamps.tenant_ids[row],
            received_at=lot.stamps.ingested_at[row],
            ingestion_method=lot.stamps.ingestion_methods[row],
            submission_id=claims_of(record).submission_id,
            origin=str(routing.origin(record.offset)),
            original_event=msgspec.Raw(record.value),
        )
        track.offsets.append(record.offset)
        track.messages.append(_duplicate(body, partition=routing.partition))
    return track


def _duplicate(body: _Duplicate, *, partition: int) -> Message:
    headers = {
        _TENANT_ID: body.tenant_id,
        _EVENT_TYPE: body.event_type,
        _INGESTION_METHOD: body.ingestion_method,
        _INGESTED_AT: body.received_at,
        _MESSAGE_ID: body.message_id,
        _ORIGIN: body.origin,
    }
    value = msgspec.json.encode(body)
    return Message(topic=DUPLICATES, key=body.tenant_id, value=value, headers=headers, partition=partition)


def _error(routing: Routing, refused: Refused) -> Message:
    return refuse(
        refused.record,
        routing.origin(refused.record.offset),
        refused.errors,
        default_type=refused.kind.event_type,
        created_at=routing.normalized_at,
    )
