"""Read events that a starter has checked already: narrowly, and with no more care than keeps the platform whole.

Internal topics are written by our own starters alone, so the header that says "checked" is believed (decision 7). What
is asked again costs next to nothing, a question for each different value, and keeps anything that could stop a
later stage or forge another tenant's name from getting there.
"""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from msgspec import UnsetType

from de_platform.pipeline.amounts import Number
from de_platform.pipeline.currencies import CURRENCIES
from de_platform.pipeline.events import EventType, Header, IngestionMethod
from de_platform.pipeline.glance import MALFORMED, RULES, is_canonical, is_usual_tenant_id
from de_platform.pipeline.instants import is_day
from de_platform.pipeline.lots import Content, Lot, Stamps
from de_platform.pipeline.messages import Record
from de_platform.pipeline.shapes import FACTS, EventFacts, column

_TENANT_ID, _MESSAGE_ID, _CHECKED = Header.TENANT_ID, Header.MESSAGE_ID, Header.CHECKED
_INGESTION_METHOD, _INGESTED_AT = Header.INGESTION_METHOD, Header.INGESTED_AT
"""Bound here because they are looked up for every event."""
_METHODS = frozenset(method.value for method in IngestionMethod)


def are_checked(records: Sequence[Record]) -> list[bool]:
    """Say for each record whether a starter vouches for it, by the rules of today."""
    return [headers.get(_CHECKED) == RULES for headers in column(records, "headers")]


class CheckedReader:
    """Reads checked records of one event type."""

    def __init__(self, event_type: EventType) -> None:
        self._event_type = event_type
        self._decode: Callable[[bytes], EventFacts] = msgspec.json.Decoder(FACTS[event_type]).decode

    def read(self, records: Sequence[Record]) -> Lot | None:
        """Return records as columns; None if the mark on one of them cannot be true."""
        try:
            content = Content.of(self._event_type, list(map(self._decode, column(records, "value"))))
            stamps = _stamps(records)
        except (*MALFORMED, KeyError, ValueError):
            return None
        if not _are_sane(content, stamps):
            return None
        return Lot(self._event_type, records, content, stamps)


def _stamps(records: Sequence[Record]) -> Stamps:
    """Take from headers what a starter wrote there and into the body alike. Raises KeyError."""
    headers = column(records, "headers")
    ingested_at = [of_one[_INGESTED_AT] for of_one in headers]
    return Stamps(
        tenant_ids=[of_one[_TENANT_ID] for of_one in headers],
        message_ids=[of_one[_MESSAGE_ID] for of_one in headers],
        ingestion_methods=[of_one[_INGESTION_METHOD] for of_one in headers],
        ingested_at=ingested_at,
        known_at=ingested_at,
    )


def _are_sane(content: Content, stamps: Stamps) -> bool:
    return (
        all(map(is_day, set(content.days)))
        and CURRENCIES.issuperset(content.currencies)
        and _are_positive(content.sizes)
        and _are_positive(content.prices)
        and all(map(is_usual_tenant_id, set(stamps.tenant_ids)))
        and _METHODS.issuperset(stamps.ingestion_methods)
        and all(map(is_canonical, set(stamps.ingested_at)))
    )


def _are_positive(numbers: Sequence[Number | UnsetType]) -> bool:
    if not set(map(type, numbers)) <= {float}:
        numbers = [number for number in numbers if isinstance(number, float)]
    return min(cast("Sequence[float]", numbers), default=1.0) > 0
