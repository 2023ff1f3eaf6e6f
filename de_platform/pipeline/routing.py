"""Turn verdicts into messages: events to the store and the algorithms, duplicates and errors to their topics.

Every message goes to the partition of its input and carries its origin. On each topic, messages are in log order.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec

from de_platform.pipeline.dedup import Verdicts
from de_platform.pipeline.enrichment import identity_members, splice
from de_platform.pipeline.events import Header, Origin
from de_platform.pipeline.messages import Message
from de_platform.pipeline.normalization import Lot, Refused, Valued
from de_platform.pipeline.refusals import refuse
from de_platform.pipeline.shapes import column
from de_platform.pipeline.topics import ALGOS_TOPIC, DUPLICATES, NORMALIZATION_ERRORS, PERSISTENCE_TOPIC

_TENANT_ID, _EVENT_TYPE, _INGESTION_METHOD = Header.TENANT_ID, Header.EVENT_TYPE, Header.INGESTION_METHOD
_INGESTED_AT, _MESSAGE_ID, _ORIGIN = Header.INGESTED_AT, Header.MESSAGE_ID, Header.ORIGIN
"""Bound here because they are looked up for every event."""


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
    messages = {topic: _merged(its_tracks) for topic, its_tracks in tracks.items()}
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
    """Make the enriched events for the store and, of tenants in realtime mode, the same for the algorithms."""
    lot, partition = valued.lot, routing.partition
    offsets = column(lot.records, "offset")
    log = f"{routing.topic}:{partition}:"
    origins = [f"{log}{offset}" for offset in offsets]
    stamp = f',"normalized_at":"{routing.normalized_at}","origin":"'
    names = identity_members(lot.event_type, lot.events, lot.primary_keys)
    tails = [
        f'{name}{worth}{stamp}{origin}"}}' for name, worth, origin in zip(names, valued.members, origins, strict=True)
    ]
    tenant_ids = column(lot.events, "tenant_id")
    parts = list(zip(tenant_ids, splice(column(lot.records, "value"), tails), _headers(lot, origins), strict=True))
    stored, evaluated = PERSISTENCE_TOPIC[lot.event_type], ALGOS_TOPIC[lot.event_type]
    tracks = [_track(stored, partition, offsets, parts)]
    realtime = {tenant_id for tenant_id in set(tenant_ids) if routing.is_realtime(tenant_id)}
    if len(realtime) == len(set(tenant_ids)):
        tracks.append(_track(evaluated, partition, offsets, parts))
    elif realtime:
        rows = [row for row, tenant_id in enumerate(tenant_ids) if tenant_id in realtime]
        tracks.append(_track(evaluated, partition, [offsets[row] for row in rows], [parts[row] for row in rows]))
    return tracks


def _track(
    topic: str, partition: int, offsets: list[int], parts: Sequence[tuple[str, bytes, Mapping[str, str]]]
) -> _Track:
    messages = [
        Message(topic=topic, key=key, value=value, headers=headers, partition=partition)
        for key, value, headers in parts
    ]
    return _Track(topic, offsets, messages)


def _headers(lot: Lot, origins: Sequence[str]) -> list[Mapping[str, str]]:
    event_type = lot.event_type.value
    return [
        {
            _TENANT_ID: event.tenant_id,
            _EVENT_TYPE: event_type,
            _INGESTION_METHOD: event.ingestion_method,
            _INGESTED_AT: event.ingested_at,
            _MESSAGE_ID: event.message_id,
            _ORIGIN: origin,
        }
        for event, origin in zip(lot.events, origins, strict=True)
    ]


def _duplicates(routing: Routing, lot: Lot, verdicts: Verdicts) -> _Track:
    """Make a message for each duplicate, with its whole event and the message that was first."""
    rows = list(verdicts.originals)
    chosen = lot.only(rows)
    offsets: list[int] = column(chosen.records, "offset")
    origins = [str(routing.origin(offset)) for offset in offsets]
    headers = _headers(chosen, origins)
    messages = [
        Message(
            topic=DUPLICATES,
            key=event.tenant_id,
            value=msgspec.json.encode(
                _Duplicate(
                    event_type=event.event_type,
                    primary_key=primary_key,
                    message_id=event.message_id,
                    original_message_id=verdicts.originals[row],
                    tenant_id=event.tenant_id,
                    received_at=event.ingested_at,
                    ingestion_method=event.ingestion_method,
                    submission_id=event.submission_id,
                    origin=its_headers[_ORIGIN],
                    original_event=msgspec.Raw(record.value),
                )
            ),
            headers=its_headers,
            partition=routing.partition,
        )
        for row, record, event, primary_key, its_headers in zip(
            rows, chosen.records, chosen.events, chosen.primary_keys, headers, strict=True
        )
    ]
    return _Track(DUPLICATES, offsets, messages)


def _error(routing: Routing, refused: Refused) -> Message:
    return refuse(
        refused.record,
        routing.origin(refused.record.offset),
        refused.errors,
        default_type=refused.kind.event_type,
        created_at=routing.normalized_at,
    )
