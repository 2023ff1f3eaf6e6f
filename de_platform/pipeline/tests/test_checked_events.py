"""What a starter vouches for reads the same without being checked again; a mark that cannot be true is not believed."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline import amounts
from de_platform.pipeline.checked_events import CheckedReader, are_checked
from de_platform.pipeline.events import EventType
from de_platform.pipeline.intake import take_in
from de_platform.pipeline.lots import Lot
from de_platform.pipeline.messages import Batch, Record
from de_platform.pipeline.normalization import Reader
from de_platform.pipeline.tests.sample_events import SAMPLES, TENANT, execution, order, stamped, submission, transaction
from de_platform.pipeline.tests.test_glance import almost_valid
from de_platform.pipeline.topics import NORMALIZATION_TOPIC


def read(event_type: EventType, *records: Record) -> Lot:
    topic = NORMALIZATION_TOPIC[event_type]
    reading = Reader(topic).read(Batch(topic, 0, records))
    assert not reading.refused
    (lot,) = reading.lots
    return lot


def unmarked(record: Record) -> Record:
    headers = {name: text for name, text in record.headers.items() if name != "checked"}
    return msgspec.structs.replace(record, headers=headers)


def facts(lot: Lot) -> list[object]:
    """Return all that a lot says, with numbers as decimals."""
    content, stamps = lot.content, lot.stamps
    sizes = [amounts.exact(size) for size in content.sizes]
    prices = [price if price is msgspec.UNSET else amounts.exact(price) for price in content.prices]
    return [content.ids, content.days, content.currencies, sizes, prices, content.order_ids, *map(list, stamps)]


@pytest.mark.parametrize("event_type", list(EventType))
@settings(max_examples=80)
@given(data=st.data())
def test_what_a_starter_vouches_for_reads_as_if_every_rule_was_applied(
    event_type: EventType, data: st.DataObject
) -> None:
    raws = data.draw(st.lists(almost_valid(event_type, is_stamped=False), min_size=1, max_size=4))
    intake = take_in(submission(event_type), raws, positions=range(len(raws)))
    topic = NORMALIZATION_TOPIC[event_type]
    records = [Record(n, m.key, m.value, m.headers) for n, m in enumerate(intake.messages) if m.topic == topic]
    if records:
        believed, examined = read(event_type, *records), read(event_type, *map(unmarked, records))
        assert facts(believed) == facts(examined)
        assert list(believed.records) == records


@pytest.mark.parametrize("event_type", list(EventType))
def test_usual_events_are_read_without_a_second_check(event_type: EventType) -> None:
    records = [stamped(SAMPLES[event_type](), offset=n, position=n) for n in range(3)]
    assert all(are_checked(records))
    lot = CheckedReader(event_type).read(records)
    assert lot is not None
    assert set(map(type, lot.content.sizes)) == {float}


def test_marked_and_unmarked_records_of_a_batch_stay_in_log_order() -> None:
    records = [stamped(order(id=f"o-{n}", price=n + 0.5), offset=n, position=n) for n in range(6)]
    records[1], records[4] = unmarked(records[1]), unmarked(records[4])
    lot = read(EventType.ORDER, *records)
    assert lot.content.ids == [f"o-{n}" for n in range(6)]
    assert [str(amounts.exact(price)) for price in lot.content.prices] == [f"{n}.5" for n in range(6)]


def test_rules_of_another_version_are_applied_again() -> None:
    record = stamped(order())
    assert are_checked([msgspec.structs.replace(record, headers={**record.headers, "checked": "0"})]) == [False]


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (order(), {"quantity": "1"}),
        (order(), {"quantity": 0}),
        (order(), {"price": -1}),
        (order(), {"price": None}),
        (order(), {"id": ""}),
        (order(), {"transact_time": "yesterday"}),
        (order(), {"transact_time": "2026-02-30T00:00:00Z"}),
        (order(), {"currency": "XXX"}),
        (order(), {"order_id": 7}),
        (execution(), {"price": ...}),
        (transaction(), {"amount": []}),
    ],
)
def test_a_body_that_belies_its_mark_is_examined(event: dict[str, object], changes: dict[str, object]) -> None:
    record = stamped(event)
    body = {name: value for name, value in (json.loads(record.value) | changes).items() if value is not ...}
    forged = msgspec.structs.replace(record, value=json.dumps(body).encode())
    event_type = EventType(record.headers["event_type"])
    assert CheckedReader(event_type).read([forged]) is None
    topic = NORMALIZATION_TOPIC[event_type]
    assert len(Reader(topic).read(Batch(topic, 0, [forged, stamped(event, offset=1)])).refused) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("tenant_id", "platform"), ("tenant_id", "a b"), ("ingested_at", "now"), ("ingestion_method", "fax")],
)
def test_headers_that_no_starter_writes_are_not_believed(name: str, text: str) -> None:
    record = stamped(order())
    forged = msgspec.structs.replace(record, headers={**record.headers, name: text})
    assert CheckedReader(EventType.ORDER).read([forged]) is None
    assert read(EventType.ORDER, forged).stamps.tenant_ids == [TENANT]


def test_a_mark_without_the_other_headers_is_not_believed() -> None:
    record = msgspec.structs.replace(stamped(order()), headers={"event_type": "order", "checked": "1"})
    assert read(EventType.ORDER, record).stamps.tenant_ids == [TENANT]
