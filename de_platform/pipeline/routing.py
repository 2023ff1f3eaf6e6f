"""Turn verdicts into messages: events to the store and the algorithms, duplicates and errors to their topics.

Every message goes to the partition of its input and carries its origin. On each topic, messages are in log order.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec

from de_platform.pipeline.dedup import Verdict, Verdicts
from de_platform.pipeline.enrichment import identity_members, splice
from de_platform.pipeline.events import Header, Origin
from de_platform.pipeline.messages import Message
from de_platform.pipeline.normalization import Lot, Refused, Valued
from de_platform.pipeline.refusals import refuse
from de_platform.pipeline.shapes import column
from de_platform.pipeline.topics import ALGOS_TOPIC, DUPLICATES, PERSISTENCE_TOPIC


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


class _Placed(NamedTuple):
    """Messages, and the offsets of the records that they were made from."""

    offsets: list[int]
    messages: list[Message]


def route(routing: Routing, judged: Sequence[Judged], refused: Sequence[Refused]) -> list[Message]:
    """Return all messages of a batch."""
    offsets: list[int] = []
    messages: list[Message] = []
    for valued, verdicts in judged:
        new = [row for row, verdict in enumerate(verdicts.verdicts) if verdict is Verdict.NEW]
        for placed in (
            _events(routing, valued if len(new) == len(valued.members) else valued.only(new)),
            _duplicates(routing, valued.lot, verdicts),
        ):
            offsets += placed.offsets
            messages += placed.messages
    if len(judged) > 1:
        messages = [message for _, message in sorted(zip(offsets, messages, strict=True), key=itemgetter(0))]
    return messages + [_error(routing, one) for one in sorted(refused, key=lambda one: one.record.offset)]


def _events(routing: Routing, valued: Valued) -> _Placed:
    """Make the enriched events for the store and, of tenants in realtime mode, the same for the algorithms."""
    lot = valued.lot
    offsets = [record.offset for record in lot.records]
    log = f"{routing.topic}:{routing.partition}:"
    origins = [f"{log}{offset}" for offset in offsets]
    stamp = f',"normalized_at":"{routing.normalized_at}","origin":"'
    names = identity_members(lot.event_type, lot.events, lot.primary_keys)
    tails = [
        f'{name}{worth}{stamp}{origin}"}}' for name, worth, origin in zip(names, valued.members, origins, strict=True)
    ]
    values = splice([record.value for record in lot.records], tails)
    headers = _headers(lot, origins)
    tenant_ids = column(lot.events, "tenant_id")
    topic, partition = PERSISTENCE_TOPIC[lot.event_type], routing.partition
    stored = [
        Message(topic=topic, key=tenant_id, value=value, headers=its_headers, partition=partition)
        for tenant_id, value, its_headers in zip(tenant_ids, values, headers, strict=True)
    ]
    realtime = {tenant_id for tenant_id in set(tenant_ids) if routing.is_realtime(tenant_id)}
    topic = ALGOS_TOPIC[lot.event_type]
    evaluated = [
        (offset, Message(topic=topic, key=tenant_id, value=value, headers=its_headers, partition=partition))
        for offset, tenant_id, value, its_headers in zip(offsets, tenant_ids, values, headers, strict=True)
        if tenant_id in realtime
    ]
    return _Placed(
        offsets + [offset for offset, _ in evaluated],
        stored + [message for _, message in evaluated],
    )


def _headers(lot: Lot, origins: Sequence[str]) -> list[Mapping[str, str]]:
    event_type = lot.event_type.value
    tenant_id, type_, method = Header.TENANT_ID, Header.EVENT_TYPE, Header.INGESTION_METHOD
    ingested_at, message_id, origin = Header.INGESTED_AT, Header.MESSAGE_ID, Header.ORIGIN
    return [
        {
            tenant_id: event.tenant_id,
            type_: event_type,
            method: event.ingestion_method,
            ingested_at: event.ingested_at,
            message_id: event.message_id,
            origin: its_origin,
        }
        for event, its_origin in zip(lot.events, origins, strict=True)
    ]


def _duplicates(routing: Routing, lot: Lot, verdicts: Verdicts) -> _Placed:
    """Make a message for each duplicate, with its whole event and the message that was first."""
    if not verdicts.originals:
        return _Placed([], [])
    rows = sorted(verdicts.originals)
    chosen = lot.only(rows)
    offsets = [record.offset for record in chosen.records]
    origins = [str(routing.origin(offset)) for offset in offsets]
    messages: list[Message] = []
    for position, headers in enumerate(_headers(chosen, origins)):
        event = chosen.events[position]
        body = _Duplicate(
            event_type=event.event_type,
            primary_key=chosen.primary_keys[position],
            message_id=event.message_id,
            original_message_id=verdicts.originals[rows[position]],
            tenant_id=event.tenant_id,
            received_at=event.ingested_at,
            ingestion_method=event.ingestion_method,
            submission_id=event.submission_id,
            origin=origins[position],
            original_event=msgspec.Raw(chosen.records[position].value),
        )
        messages.append(
            Message(
                topic=DUPLICATES,
                key=event.tenant_id,
                value=msgspec.json.encode(body),
                headers=headers,
                partition=routing.partition,
            )
        )
    return _Placed(offsets, messages)


def _error(routing: Routing, refused: Refused) -> Message:
    return refuse(
        refused.record,
        routing.origin(refused.record.offset),
        refused.errors,
        default_type=refused.kind.event_type,
        created_at=routing.normalized_at,
    )
