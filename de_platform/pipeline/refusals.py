"""Error records for what lies on a normalisation topic and is no valid event, whoever put it there."""

from collections.abc import Mapping, Sequence

import msgspec

from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, IngestionMethod, Origin
from de_platform.pipeline.ids import digest, message_id
from de_platform.pipeline.messages import Message, Record
from de_platform.pipeline.validation import is_tenant_id


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says about itself, in its body or else in its headers; nothing of it is checked."""

    event_type: str = ""
    tenant_id: str = ""
    message_id: str = ""
    ingested_at: str = ""
    ingestion_method: str = ""
    submission_id: str = ""


_FIELDS = msgspec.structs.fields(Claims)


def claims_of(record: Record) -> Claims:
    """Read what can be read; "" for the rest."""
    try:
        body = msgspec.json.decode(record.value, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = {}
    found = {field.name: _text(body.get(field.name)) or record.headers.get(field.name, "") for field in _FIELDS}
    return Claims(**found)


def refuse(
    record: Record, origin: Origin, errors: Sequence[FieldError], *, default_type: EventType, created_at: str
) -> Message:
    """Make the error record of a record.

    Its message id is the one it claims, or a digest of its origin. An unknown event type is recorded as
    `default_type`, an unusable tenant as "".
    """
    claims = claims_of(record)
    identity = claims.message_id or message_id(digest("origin", origin.topic, str(origin.partition)), origin.offset)
    return ErrorRecord.of(
        record.value,
        errors,
        event_type=EventType(claims.event_type) if claims.event_type in _EVENT_TYPES else default_type,
        tenant_id=claims.tenant_id if is_tenant_id(claims.tenant_id) else "",
        created_at=created_at,
        message_id=identity,
        ingestion_method=claims.ingestion_method if claims.ingestion_method in _METHODS else "",
        submission_id=claims.submission_id,
        position=_position(identity, origin.offset),
        stage=Stage.NORMALIZER,
        origin=str(origin),
    ).message(ingested_at=claims.ingested_at or created_at, partition=origin.partition)


_EVENT_TYPES: Mapping[str, EventType] = {event_type.value: event_type for event_type in EventType}
_METHODS = frozenset(method.value for method in IngestionMethod)


def _text(value: msgspec.Raw | None) -> str:
    if value is None:
        return ""
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _position(identity: str, default: int) -> int:
    """Return the place in the submission that a message id ends with."""
    _, _, position = identity.rpartition(".")
    return int(position) if position.isascii() and position.isdigit() and len(position) < 19 else default
