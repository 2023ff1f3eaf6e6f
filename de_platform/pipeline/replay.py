"""Send an event that was refused through the pipeline once more, after the cause was mended.

The event keeps its `message_id`: an event that was refused never entered dedup, so it is processed now; one
that has been processed meanwhile is dropped as a redelivery. So replaying twice is harmless. The message
carries no `origin`, since it comes from no input log.
"""

import re
from datetime import datetime

import msgspec

from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.events import Header, IngestionMethod
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.intake import Submission, take_in
from de_platform.pipeline.messages import Message
from de_platform.pipeline.raw_data import MAX_RECORDED_BYTES, from_text
from de_platform.pipeline.topics import NORMALIZATION_TOPIC

_REPLAYED_BEFORE = re.compile(rb',"replayed_at":"[0-9TZ:.-]+"\}\s*\Z')


class _Stamped(msgspec.Struct):
    tenant_id: str
    message_id: str
    ingested_at: str


def replay(record: ErrorRecord, *, replayed_at: datetime) -> Message:
    """Return the event as a message for its normalisation topic, marked with `replayed_at`.

    What the normaliser refused keeps its `ingested_at`; what was refused at the door is checked and stamped
    anew. Raises InvalidInput when it is still not valid, or when its record does not hold all of it.
    """
    raw = from_text(record.raw_data)
    if len(raw) > MAX_RECORDED_BYTES:
        raise InvalidInput.single("raw_data", "was cut when it was recorded; send the event again")
    if record.stage is Stage.NORMALIZER:
        return _restamped(record, raw, replayed_at)
    return _taken_in(record, raw, replayed_at)


def _restamped(record: ErrorRecord, raw: bytes, replayed_at: datetime) -> Message:
    try:
        stamped = msgspec.json.decode(raw, type=_Stamped)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput.single("raw_data", f"is no stamped event: {error}") from error
    if (stamped.message_id, stamped.tenant_id) != (record.message_id, record.tenant_id):
        raise InvalidInput.single("raw_data", "belongs to another message than the record says")
    headers = {
        Header.TENANT_ID: record.tenant_id,
        Header.EVENT_TYPE: record.event_type.value,
        Header.INGESTION_METHOD: record.ingestion_method,
        Header.INGESTED_AT: stamped.ingested_at,
        Header.MESSAGE_ID: record.message_id,
    }
    return Message(
        topic=NORMALIZATION_TOPIC[record.event_type],
        key=record.tenant_id,
        value=_marked(raw, replayed_at),
        headers=headers,
    )


def _taken_in(record: ErrorRecord, raw: bytes, replayed_at: datetime) -> Message:
    submission = Submission(
        tenant_id=record.tenant_id or None,
        event_type=record.event_type,
        method=IngestionMethod(record.ingestion_method),
        submission_id=record.submission_id,
        received_at=replayed_at,
    )
    intake = take_in(submission, [raw], positions=[record.position])
    if intake.rejections:
        raise InvalidInput(intake.rejections[0].errors)
    (message,) = intake.messages
    if message.headers[Header.MESSAGE_ID] != record.message_id:
        raise InvalidInput.single("message_id", f"would become {message.headers[Header.MESSAGE_ID]}")
    headers = {name: text for name, text in message.headers.items() if name != Header.CHECKED}
    return msgspec.structs.replace(message, value=_marked(message.value, replayed_at), headers=headers)


def _marked(stamped: bytes, replayed_at: datetime) -> bytes:
    """Splice `replayed_at` in, or replace that of an earlier replay."""
    mark = f',"replayed_at":"{format_instant(replayed_at)}"}}'.encode()
    earlier = _REPLAYED_BEFORE.search(stamped)
    return stamped[: earlier.start() if earlier else stamped.rindex(b"}")] + mark
