"""The normaliser's work on a batch before anything is decided: check its records, and value its events.

What needs the outside world (rates, stored identities) is fetched between the steps by their caller. Nothing here
waits or knows the time.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import compress
from operator import not_
from typing import NamedTuple

import msgspec

from de_platform.pipeline.checked_events import CheckedReader, are_checked
from de_platform.pipeline.currency import RateTable
from de_platform.pipeline.decoding import Faults, StampedDecoder
from de_platform.pipeline.dedup import Arrivals, Deduplicator
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, Header
from de_platform.pipeline.lots import Content, Lot, Stamps
from de_platform.pipeline.messages import Batch, Record
from de_platform.pipeline.refusals import claims_of
from de_platform.pipeline.shapes import column
from de_platform.pipeline.topics import NORMALIZATION_TOPIC
from de_platform.pipeline.validation import is_tenant_id
from de_platform.pipeline.valuation import value_members

_EVENT_TYPE = Header.EVENT_TYPE


class Kind(msgspec.Struct, frozen=True):
    """What outcomes are counted by."""

    event_type: EventType
    tenant_id: str
    """"" where it is not known."""


class Fault(StrEnum):
    """Why a record is refused, in a word."""

    INVALID = "invalid"
    """It is no valid event."""
    NO_VALUE = "no_value"
    """It cannot be converted to US dollars."""


class Refused(msgspec.Struct, frozen=True):
    """A record that becomes an error record."""

    record: Record
    kind: Kind
    fault: Fault
    errors: Sequence[FieldError]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, checked: every record is in a lot or refused."""

    lots: list[Lot]
    refused: list[Refused]


class Valued(NamedTuple):
    """A lot whose events can all be valued, with two more columns."""

    lot: Lot
    primary_keys: Sequence[str]
    members: Sequence[str]
    """What each event is worth, as JSON members."""

    def only(self, rows: Sequence[int]) -> "Valued":
        """Return some of its rows."""
        return Valued(
            self.lot.only(rows), [self.primary_keys[row] for row in rows], [self.members[row] for row in rows]
        )


class Reader:
    """Checks the records of one normalisation topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._decoders = {
            event_type.value: StampedDecoder(event_type)
            for event_type, its_topic in NORMALIZATION_TOPIC.items()
            if its_topic == topic
        }
        self._checked_readers = {event_type: CheckedReader(EventType(event_type)) for event_type in self._decoders}

    def read(self, batch: Batch) -> Reading:
        """Decode and check every record."""
        claimed = [headers.get(_EVENT_TYPE, "") for headers in column(batch.records, "headers")]
        types = dict.fromkeys(claimed)
        by_type: dict[str, Sequence[Record]] = dict.fromkeys(types, batch.records)
        if len(types) > 1:
            pairs = list(zip(claimed, batch.records, strict=True))
            by_type = {event_type: [record for its, record in pairs if its == event_type] for event_type in types}
        lots: list[Lot] = []
        refused: list[Refused] = []
        for event_type, records in self._sorted_out(by_type, refused).items():
            lots.append(self._read(EventType(event_type), records, refused))
        return Reading(lots=lots, refused=refused)

    def _sorted_out(
        self, by_type: Mapping[str, Sequence[Record]], refused: list[Refused]
    ) -> Mapping[str, Sequence[Record]]:
        """Let the body decide where the header names no type of this topic; refuse what names none at all."""
        if by_type.keys() <= self._decoders.keys():
            return by_type
        known = {name: records for name, records in by_type.items() if name in self._decoders}
        for record in [one for name, records in by_type.items() if name not in known for one in records]:
            claimed = claims_of(record).event_type
            if claimed in self._decoders:
                known[claimed] = sorted([*known.get(claimed, []), record], key=lambda one: one.offset)
            else:
                fault = FieldError("event_type", f"must be {' or '.join(self._decoders)} on {self._topic}")
                refused.append(self._refused(record, (fault,)))
        return known

    def _read(self, event_type: EventType, records: Sequence[Record], refused: list[Refused]) -> Lot:
        """Believe the starters where they vouch for a record; apply every rule to the others."""
        marks = are_checked(records)
        checked = records if all(marks) else list(compress(records, marks))
        lot = self._checked_readers[event_type].read(checked) if checked else None
        if lot is None:
            return self._examined(event_type, records, refused)
        if checked is records:
            return lot
        return lot.merged(self._examined(event_type, list(compress(records, map(not_, marks))), refused))

    def _examined(self, event_type: EventType, records: Sequence[Record], refused: list[Refused]) -> Lot:
        decoded = self._decoders[event_type.value].decode(column(records, "value"))
        refused += [self._refused(records[row], faults) for row, faults in decoded.faults.items()]
        return Lot(
            event_type,
            [records[row] for row in decoded.rows] if decoded.faults else records,
            Content.of(event_type, decoded.events),
            Stamps.of(decoded.events),
        )

    def _refused(self, record: Record, errors: Faults) -> Refused:
        claims = claims_of(record)
        event_type = claims.event_type if claims.event_type in self._decoders else next(iter(self._decoders))
        tenant_id = claims.tenant_id if is_tenant_id(claims.tenant_id) else ""
        return Refused(record, Kind(EventType(event_type), tenant_id), Fault.INVALID, errors)


def value(lot: Lot, rates: RateTable, refused: list[Refused]) -> Valued:
    """Say what the events of a lot are worth; append those that cannot be valued to `refused`."""
    found = value_members(lot, rates)
    members = [one for one in found if isinstance(one, str)]
    if len(members) < len(found):
        for row, one in enumerate(found):
            if isinstance(one, FieldError):
                kind = Kind(lot.event_type, lot.stamps.tenant_ids[row])
                refused.append(Refused(lot.records[row], kind, Fault.NO_VALUE, (one,)))
        lot = lot.only([row for row, one in enumerate(found) if isinstance(one, str)])
    return Valued(lot, _primary_keys(lot), members)


def arrivals(valued: Valued, dedup: Deduplicator) -> Arrivals:
    """Return a lot as dedup sees it.

    A primary key and the length of its tenant's name say exactly one tuple (tenant, type, id, day); a
    primary key alone does not, because names may contain underscores. So the length goes into the digest.
    """
    stamps = valued.lot.stamps
    return Arrivals(
        keys=dedup.keys(valued.primary_keys, list(map(len, stamps.tenant_ids))),
        days=valued.lot.content.days,
        message_ids=stamps.message_ids,
        latest_at=max(set(stamps.ingested_at), default=""),
    )


def _primary_keys(lot: Lot) -> list[str]:
    tenant_ids = lot.stamps.tenant_ids
    prefixes = {tenant_id: f"{tenant_id}_{lot.event_type.value}_" for tenant_id in set(tenant_ids)}
    return [
        f"{prefixes[tenant_id]}{id_}_{day}"
        for tenant_id, id_, day in zip(tenant_ids, lot.content.ids, lot.content.days, strict=True)
    ]
