import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.events import RESERVED_FIELDS, EventType
from de_platform.pipeline.tests.sample_events import NOW, SAMPLES, TENANT, order, raw, transaction
from de_platform.pipeline.validation import MAX_EVENT_BYTES, examine


def faults(event: dict[str, Any] | bytes, event_type: EventType = EventType.ORDER) -> dict[str, str]:
    """Return what is wrong, by field."""
    data = event if isinstance(event, bytes) else raw(event)
    try:
        examine(data, event_type, tenant_id=TENANT, arrived_at=NOW)
    except InvalidInput as invalid:
        return {error.field: error.message for error in invalid.errors}
    return {}


def with_price(text: str) -> bytes:
    return raw(order(price="PRICE")).replace(b'"PRICE"', text.encode())


@pytest.mark.parametrize("event_type", list(EventType))
def test_a_valid_event_has_no_fault(event_type: EventType) -> None:
    assert faults(SAMPLES[event_type](), event_type) == {}


@pytest.mark.parametrize("event_type", list(EventType))
def test_every_missing_field_is_named(event_type: EventType) -> None:
    assert faults({}, event_type).keys() == SAMPLES[event_type]().keys()


@pytest.mark.parametrize(
    "text",
    [
        "1e2",
        "1E400",
        "1E+1000000",
        "-0",
        "-1",
        "0",
        "0.000",
        "true",
        "null",
        '"5"',
        "[1]",
        "{}",
        "1" * 19,
        "0." + "1" * 19,
    ],
)
def test_a_number_that_is_not_plain_and_positive_is_a_fault(text: str) -> None:
    assert faults(with_price(text)).keys() == {"price"}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1_000", "0x10", "٣", "+1", ".5", "1.", "01", ""])
def test_a_number_that_is_not_json_makes_the_event_no_json(text: str) -> None:
    assert faults(with_price(text)).keys() == {""}


@pytest.mark.parametrize("text", ["0.000000000000000001", "9" * 18 + "." + "9" * 18, "1", "1.50"])
def test_numbers_up_to_eighteen_digits_on_each_side_are_valid(text: str) -> None:
    assert faults(with_price(text)) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "  \t"},
        {"id": "\u2003"},
        {"id": "a\x00b"},
        {"id": "a\x7fb"},
        {"id": "a\x85b"},
        {"id": "x" * 257},
        {"id": 5},
        {"id": None},
        {"side": "BUY"},
        {"currency": "usd"},
        {"currency": "XXX"},
        {"currency": ["USD"]},
        {"tenant_id": "other"},
        {"transact_time": 1732114800},
        {"transact_time": "2026-11-20T15:05:00.000001Z"},
        {"client_id": None},
        {"supersedes": ""},
        {"order_id": " "},
        {"additional_fields": []},
        {"additional_fields": None},
        {"additional_fields": {"a": "x" * 17_000}},
    ],
)
def test_a_faulty_field_is_named(change: dict[str, Any]) -> None:
    (field,) = change
    assert faults(order(**change)).keys() == {field}


@pytest.mark.parametrize("tenant_id", ["", "a b", "a/b", "ü", "x" * 65, "platform", 7])
def test_a_shared_door_refuses_what_is_no_tenant(tenant_id: object) -> None:
    with pytest.raises(InvalidInput) as invalid:
        examine(raw(order(tenant_id=tenant_id)), EventType.ORDER, tenant_id=None, arrived_at=NOW)
    assert [error.field for error in invalid.value.errors] == ["tenant_id"]


@pytest.mark.parametrize("name", sorted(RESERVED_FIELDS))
def test_a_reserved_name_is_a_fault(name: str) -> None:
    assert faults(order(**{name: "forged"})) == {name: "is reserved: the platform sets it"}


@pytest.mark.parametrize("change", [{"price": ...}, {"price": None}])
def test_only_a_market_order_may_lack_its_price(change: dict[str, Any]) -> None:
    assert faults(order(order_type="market", **change)) == {}
    assert faults(order(order_type="limit", **change)).keys() == {"price"}


def test_all_faults_are_named_at_once() -> None:
    broken = order(side="x", quantity=-1, currency="?", status=..., notional=5)
    assert faults(broken).keys() == {"side", "quantity", "currency", "status", "notional"}


def test_unknown_fields_are_allowed() -> None:
    assert faults(order(desk='Zürich \\ "A"', note={"a": [1, None]})) == {}


def test_a_name_that_occurs_twice_is_a_fault() -> None:
    assert faults(raw(order()).replace(b'"side"', b'"side":"sell","side"')) == {"side": "appears more than once"}
    assert faults(raw(order()).replace(b'"side"', b'"s\\u0069de":"sell","side"')).keys() == {"side"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{}}",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x01"}',
        b'{"a":1}\x00',
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"a":"' + b"x" * 50_000_000 + b'"}',
    ],
)
def test_what_is_no_object_has_one_fault(data: bytes) -> None:
    assert faults(data).keys() == {""}


def test_brackets_in_strings_are_not_depth() -> None:
    assert faults(order(id='[[{"\\' * 40)) == {}


def test_an_event_just_too_long_is_refused() -> None:
    length = MAX_EVENT_BYTES - len(raw(order(desk="")))
    assert faults(order(desk="x" * length)) == {}
    assert faults(order(desk="x" * (length + 1))).keys() == {""}


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    assert faults(data)


@given(
    st.dictionaries(
        st.sampled_from([*order(), *transaction(), "message_id", "x"]),
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4), st.lists),
    )
)
def test_no_json_raises_anything_else(event: dict[str, Any]) -> None:
    assert faults(json.dumps(event).encode())
