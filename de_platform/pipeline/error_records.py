"""Error records: one for each event that could not be taken in, with every fault and the raw input."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, Header
from de_platform.pipeline.messages import Message
from de_platform.pipeline.raw_data import to_text
from de_platform.pipeline.topics import NORMALIZATION_ERRORS


class Stage(StrEnum):
    """Where an event failed."""

    INTAKE = "intake"
    NORMALIZER = "normalizer"


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a message on `normalization_errors`."""

    event_type: EventType
    tenant_id: str
    """"" where it is not known."""
    errors: tuple[FieldError, ...]
    raw_data: str
    """The input as `raw_data.to_text` writes it."""
    created_at: str
    message_id: str
    ingestion_method: str
    submission_id: str
    position: int
    """Place in the submission: line of a file, index in a request, offset in a topic."""
    stage: Stage
    origin: str
    """The log record that failed, as `topic:partition:offset`; "" where there is no input log."""

    @classmethod
    def of(
        cls,
        raw: bytes,
        errors: Sequence[FieldError],
        *,
        event_type: EventType,
        tenant_id: str,
        created_at: str,
        message_id: str,
        ingestion_method: str,
        submission_id: str,
        position: int,
        stage: Stage,
        origin: str,
    ) -> "ErrorRecord":
        """Build a record from raw input, whatever its bytes are."""
        return cls(
            event_type=event_type,
            tenant_id=tenant_id,
            errors=tuple(errors),
            raw_data=to_text(raw),
            created_at=created_at,
            message_id=message_id,
            ingestion_method=ingestion_method,
            submission_id=submission_id,
            position=position,
            stage=stage,
            origin=origin,
        )

    def message(self, *, ingested_at: str, partition: int | None = None) -> Message:
        """Return it as a message; `partition` keeps it beside its input where there is an input log of ours."""
        headers = {
            Header.TENANT_ID: self.tenant_id,
            Header.EVENT_TYPE: self.event_type.value,
            Header.INGESTION_METHOD: self.ingestion_method,
            Header.INGESTED_AT: ingested_at,
            Header.MESSAGE_ID: self.message_id,
        }
        if self.origin:
            headers[Header.ORIGIN] = self.origin
        return Message(
            topic=NORMALIZATION_ERRORS,
            key=self.tenant_id,
            value=msgspec.json.encode(self),
            headers=headers,
            partition=partition,
        )
