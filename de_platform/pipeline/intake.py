"""Take in what a client sends: check every event, stamp it, and make the messages that a starter publishes.

Pure: the same submission gives the same messages, so a starter may take in and publish again after a crash.
"""

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Raw

from de_platform.pipeline.decoding import ClientDecoder
from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType, Header, IngestionMethod
from de_platform.pipeline.ids import message_id, message_stem, receipt_id
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.messages import Message
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
    stamps = _Stamps(submission)
    by_row: dict[int, Message] = {}
    for row, event in zip(decoded.rows, decoded.events, strict=True):
        origin = origins[row] if origins else ""
        by_row[row] = stamps.message(event.tenant_id, raw_events[row], positions[row], origin)
    rejections: list[Rejection] = []
    rejected_tenants: list[str] = []
    for row, errors in decoded.faults.items():
        origin = origins[row] if origins else ""
        refusal = reject(submission, raw_events[row], position=positions[row], errors=errors, origin=origin)
        rejections.append(Rejection(positions[row], errors))
        rejected_tenants.append(refusal.key)
        by_row[row] = refusal
    accepted = stamps.accepted
    return Intake(
        messages=[by_row[row] for row in range(len(raw_events))],
        accepted=sum(accepted.values()),
        rejections=rejections,
        tallies={
            tenant_id: Tally(accepted.get(tenant_id, 0), rejected_tenants.count(tenant_id))
            for tenant_id in sorted({*accepted, *rejected_tenants})
        },
    )


def reject(
    submission: Submission, raw: bytes, *, position: int, errors: Sequence[FieldError], origin: str = ""
) -> Message:
    """Make the error record of input that cannot become an event (a broken line, say)."""
    tenant_id = submission.tenant_id if submission.tenant_id is not None else _claimed_tenant(raw)
    stem = message_stem(tenant_id, submission.method, submission.event_type, submission.submission_id)
    return ErrorRecord.of(
        raw,
        errors,
        event_type=submission.event_type,
        tenant_id=tenant_id,
        message_id=message_id(stem, position),
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


_EVENTS_HEAD = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"events"[ \t\r\n]*:[ \t\r\n]*')
_EVENTS_TAIL = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    events: Raw


def split_events(body: bytes) -> list[bytes]:
    """Return the raw events of `{"events": [...]}`, each as it was sent; they may be anything that is JSON.

    Raises InvalidInput for a body that is anything else.
    """
    try:
        events = msgspec.json.decode(body, type=_Body).events
        raws = msgspec.json.decode(events, type=list[Raw])
    except msgspec.ValidationError as error:
        raise InvalidInput.single("", f'the body must be {{"events": [...]}}: {error}') from None
    except msgspec.DecodeError as error:
        raise InvalidInput.single("", f"the body is not valid JSON: {error}") from None
    except UnicodeDecodeError:
        raise InvalidInput.single("", "the body is not UTF-8") from None
    except RecursionError:
        raise InvalidInput.single("", "the body is nested too deep") from None
    head = _EVENTS_HEAD.match(body)
    if head is None or not _EVENTS_TAIL.fullmatch(body, head.end() + len(bytes(events))):
        raise InvalidInput.single("events", "must be written plainly and once")
    return [bytes(raw) for raw in raws]


class _Stamps:
    """Appends what a starter adds to events; one per submission, so that only the position varies per event."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._topic = NORMALIZATION_TOPIC[submission.event_type]
        self._received_at = format_instant(submission.received_at)
        self._stems: dict[str, str] = {}
        self._tail = (
            f'","ingested_at":"{self._received_at}","event_type":"{submission.event_type.value}"'
            f',"ingestion_method":"{submission.method.value}"'
            f',"submission_id":{msgspec.json.encode(submission.submission_id).decode()}}}'
        )
        self.accepted: dict[str, int] = {}

    def message(self, tenant_id: str, raw: bytes, position: int, origin: str) -> Message:
        """Stamp an event that is a valid JSON object with at least one field."""
        stem = self._stems.get(tenant_id)
        if stem is None:
            stem = self._stems[tenant_id] = self._stem(tenant_id)
            self.accepted[tenant_id] = 0
        self.accepted[tenant_id] += 1
        identity = f"{stem}.{position}"
        end = -1 if raw.endswith(b"}") else raw.rindex(b"}")
        headers = {
            Header.TENANT_ID: tenant_id,
            Header.EVENT_TYPE: self._submission.event_type.value,
            Header.INGESTION_METHOD: self._submission.method.value,
            Header.INGESTED_AT: self._received_at,
            Header.MESSAGE_ID: identity,
        }
        if origin:
            headers[Header.ORIGIN] = origin
        return Message(
            topic=self._topic,
            key=tenant_id,
            value=raw[:end] + f',"message_id":"{identity}{self._tail}'.encode(),
            headers=headers,
        )

    def _stem(self, tenant_id: str) -> str:
        submission = self._submission
        assert len(submission.submission_id) <= MAX_SUBMISSION_ID_CHARS, "submission ids are short"
        return message_stem(tenant_id, submission.method, submission.event_type, submission.submission_id)


class _Claim(msgspec.Struct):
    tenant_id: str


def _claimed_tenant(raw: bytes) -> str:
    """Return the tenant that a faulty event of a shared door names, or ""."""
    try:
        tenant_id = msgspec.json.decode(raw, type=_Claim).tenant_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return tenant_id if is_tenant_id(tenant_id) else ""
