"""Take in what a client sends: check every event, stamp it, and make the messages that a starter publishes.

Pure: the same submission gives the same messages, so a starter may take in and publish again after a crash.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import Raw

from de_platform.pipeline.decoding import ClientDecoder, Decoded
from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType, Header, IngestionMethod
from de_platform.pipeline.ids import message_id, message_stem, receipt_id
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.messages import Message
from de_platform.pipeline.shapes import ClientEvent, column
from de_platform.pipeline.topics import INGESTION_AUDIT, NORMALIZATION_TOPIC
from de_platform.pipeline.validation import MAX_SUBMISSION_ID_CHARS, is_tenant_id


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One request, file or topic partition: where events come from and who vouches for them.

    `submission_id` is the same whenever the same is submitted again; with it and an event's position goes
    the event's identity as a message.
    """

    tenant_id: str | None
    """The tenant that every event must name; None for a shared door, where the event alone says it."""
    event_type: EventType
    method: IngestionMethod
    submission_id: str
    source_name: str = ""
    """File name or topic, for people."""
    received_at: datetime


class Rejection(msgspec.Struct, frozen=True):
    """An event that was not taken in, by its position in the submission, with every fault."""

    position: int
    errors: tuple[FieldError, ...]


class Tally(msgspec.Struct, frozen=True):
    """How many events of one tenant were accepted and rejected."""

    accepted: int
    rejected: int


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a part of a submission."""

    messages: list[Message]
    """Events and error records, in input order, ready to publish."""
    accepted: int
    rejections: list[Rejection]
    tallies: dict[str, Tally]
    """By tenant, for receipts; rejected events whose tenant is not known are under "" ."""


class _Receipt(msgspec.Struct, frozen=True, kw_only=True):
    receipt_id: str
    tenant_id: str
    source: IngestionMethod
    name: str
    submission_id: str
    event_type: EventType
    first_position: int
    claimed: int
    accepted: int
    rejected: int
    received_at: str
    final: bool


def take_in(
    submission: Submission,
    raw_events: Sequence[bytes],
    *,
    positions: Sequence[int],
    origins: Sequence[str] | None = None,
) -> Intake:
    """Check and stamp events; each becomes one message, for its normalisation topic or an error record.

    `positions` are the events' places in the submission (index, line, offset), `origins` the records of an
    input log that they came from. Faulty events never raise.
    """
    decoder = ClientDecoder(submission.event_type, tenant_id=submission.tenant_id, arrived_at=submission.received_at)
    decoded = decoder.decode(raw_events)
    if not decoded.faults:
        stamped = _stamped(submission, decoded, raw_events, positions, origins)
        return Intake(
            messages=stamped, accepted=len(stamped), rejections=[], tallies=_tallies(decoded.events, refusals=())
        )
    stamped = _stamped(
        submission,
        decoded,
        [raw_events[row] for row in decoded.rows],
        [positions[row] for row in decoded.rows],
        [origins[row] for row in decoded.rows] if origins else None,
    )
    refusals = {
        row: reject(
            submission,
            raw_events[row],
            position=positions[row],
            errors=errors,
            origin=origins[row] if origins else "",
        )
        for row, errors in decoded.faults.items()
    }
    by_row = dict(zip(decoded.rows, stamped, strict=True)) | refusals
    return Intake(
        messages=[by_row[row] for row in range(len(raw_events))],
        accepted=len(stamped),
        rejections=[Rejection(positions[row], errors) for row, errors in decoded.faults.items()],
        tallies=_tallies(decoded.events, refusals=refusals.values()),
    )


def reject(
    submission: Submission, raw: bytes, *, position: int, errors: Sequence[FieldError], origin: str = ""
) -> Message:
    """Make the error record of input that cannot become an event (a broken line, say)."""
    tenant_id = submission.tenant_id if submission.tenant_id is not None else _claimed_tenant(raw)
    return ErrorRecord.of(
        raw,
        errors,
        event_type=submission.event_type,
        tenant_id=tenant_id,
        message_id=message_id(_stem(submission, tenant_id), position),
        ingestion_method=submission.method.value,
        submission_id=submission.submission_id,
        position=position,
        stage=Stage.INTAKE,
        origin=origin,
        created_at=format_instant(submission.received_at),
    ).message(ingested_at=format_instant(submission.received_at))


def receipt(
    submission: Submission,
    *,
    tenant_id: str,
    first_position: int,
    claimed: int,
    accepted: int,
    rejected: int,
    final: bool,
) -> Message:
    """Make the receipt for a part of a submission: what one tenant claimed to bring, and what became of it at the door.

    There is one for each (submission, tenant, event type); a long submission has one for each part that
    was published together. `final` marks the last one.
    """
    submission_id = submission.submission_id
    identity = receipt_id(tenant_id, submission.method, submission.event_type, submission_id, first_position)
    received_at = format_instant(submission.received_at)
    body = _Receipt(
        receipt_id=identity,
        tenant_id=tenant_id,
        source=submission.method,
        name=submission.source_name,
        submission_id=submission_id,
        event_type=submission.event_type,
        first_position=first_position,
        claimed=claimed,
        accepted=accepted,
        rejected=rejected,
        received_at=received_at,
        final=final,
    )
    headers = {
        Header.TENANT_ID: tenant_id,
        Header.EVENT_TYPE: submission.event_type.value,
        Header.INGESTION_METHOD: submission.method.value,
        Header.INGESTED_AT: received_at,
        Header.MESSAGE_ID: identity,
    }
    return Message(topic=INGESTION_AUDIT, key=tenant_id, value=msgspec.json.encode(body), headers=headers)


_EVENTS_HEAD = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"events"[ \t\r\n]*:')
_WHITE_SPACE = b" \t\r\n"
_NOT_DECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode_events = msgspec.json.Decoder(list[Raw]).decode


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    events: list[Raw]


def split_events(body: bytes) -> list[bytes]:
    """Return the raw events of `{"events": [...]}`, each as it was sent; they may be anything that is JSON.

    Raises InvalidInput for a body that is anything else.
    """
    head, text = _EVENTS_HEAD.match(body), body.rstrip(_WHITE_SPACE)
    if head is not None and text.endswith(b"}"):
        with suppress(*_NOT_DECODABLE):
            return list(map(bytes, _decode_events(memoryview(text)[head.end() : -1])))
    raise _fault_of(body)


def _fault_of(body: bytes) -> InvalidInput:
    """Say what is wrong with a body that is not an object with a list of events, plainly written and once."""
    try:
        msgspec.json.decode(body, type=_Body)
    except msgspec.ValidationError as error:
        return InvalidInput.single("", f'the body must be {{"events": [...]}}: {error}')
    except msgspec.DecodeError as error:
        return InvalidInput.single("", f"the body is not valid JSON: {error}")
    except UnicodeDecodeError:
        return InvalidInput.single("", "the body is not UTF-8")
    except RecursionError:
        return InvalidInput.single("", "the body is nested too deep")
    return InvalidInput.single("events", "must be written plainly and once")


def _stamped(
    submission: Submission,
    decoded: Decoded[ClientEvent],
    raws: Sequence[bytes],
    positions: Sequence[int],
    origins: Sequence[str] | None,
) -> list[Message]:
    """Append what a starter adds to the valid events; the other columns are of these alone."""
    assert len(submission.submission_id) <= MAX_SUBMISSION_ID_CHARS, "submission ids are short"
    event_type, method = submission.event_type.value, submission.method.value
    received_at = format_instant(submission.received_at)
    tail = (
        f'","ingested_at":"{received_at}","event_type":"{event_type}","ingestion_method":"{method}"'
        f',"submission_id":{msgspec.json.encode(submission.submission_id).decode()}}}'
    ).encode()
    tenant_ids = column(decoded.events, "tenant_id")
    stems: dict[str, str] = {}
    common_headers: dict[str, dict[str, str]] = {}
    for tenant_id in set(tenant_ids):
        stems[tenant_id] = _stem(submission, tenant_id)
        common_headers[tenant_id] = {
            Header.TENANT_ID: tenant_id,
            Header.EVENT_TYPE: event_type,
            Header.INGESTION_METHOD: method,
            Header.INGESTED_AT: received_at,
        }
    identities = [f"{stems[tenant_id]}.{position}" for tenant_id, position in zip(tenant_ids, positions, strict=True)]
    values = [
        b'%b,"message_id":"%b%b' % (raw.rstrip()[:-1], identity.encode(), tail)
        for raw, identity in zip(raws, identities, strict=True)
    ]
    headers = [
        {**common_headers[tenant_id], Header.MESSAGE_ID: identity, Header.CHECKED: checked}
        for tenant_id, identity, checked in zip(tenant_ids, identities, decoded.checks, strict=True)
    ]
    if origins:
        for of_event, origin in zip(headers, origins, strict=True):
            of_event[Header.ORIGIN] = origin
    topic = NORMALIZATION_TOPIC[submission.event_type]
    return [
        Message(topic=topic, key=tenant_id, value=value, headers=of_event)
        for tenant_id, value, of_event in zip(tenant_ids, values, headers, strict=True)
    ]


def _stem(submission: Submission, tenant_id: str) -> str:
    return message_stem(tenant_id, submission.method, submission.event_type, submission.submission_id)


def _tallies(events: Sequence[ClientEvent], *, refusals: Iterable[Message]) -> dict[str, Tally]:
    accepted = Counter(column(events, "tenant_id"))
    rejected = Counter(refusal.key for refusal in refusals)
    return {tenant_id: Tally(accepted[tenant_id], rejected[tenant_id]) for tenant_id in sorted({*accepted, *rejected})}


class _Claim(msgspec.Struct):
    tenant_id: str


def _claimed_tenant(raw: bytes) -> str:
    """Return the tenant that a faulty event of a shared door names, or ""."""
    try:
        tenant_id = msgspec.json.decode(raw, type=_Claim).tenant_id
    except _NOT_DECODABLE:
        return ""
    return tenant_id if is_tenant_id(tenant_id) else ""
