"""The fast path never accepts what the rules refuse, and gives the same values; and it does accept what is usual."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.events import EventType
from de_platform.pipeline.glance import Glance
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.shapes import CLIENT_SHAPES, STAMPED_SHAPES
from de_platform.pipeline.tests.sample_events import NOW, SAMPLES, TENANT, order, raw, stamped
from de_platform.pipeline.validation import examine

TEXTS = st.sampled_from(
    [
        "x",
        " ",
        " x",
        "x ",
        "",
        "é",
        "\u2003",
        'a"b',
        "a\\b",
        "a\x7fb",
        "x" * 257,
        "buy",
        "market",
        "USD",
        "EUR",
        "acme",
        "platform",
    ]
) | st.text(max_size=3)
TIMES = st.sampled_from(
    [
        "2026-11-20T14:59:59Z",
        "2026-11-20T14:59:59.1Z",
        "2026-11-20T14:59:59.1234567Z",
        "2026-11-20T15:04:59Z",
        "2026-11-20T15:05:01Z",
        "2026-11-20T16:00:00+01:00",
        "2026-02-30T00:00:00Z",
        "2026-11-20T14:59:60Z",
        "2026-11-20T14:59Z",
        "1969-12-31T23:59:59Z",
        "2026-11-20T14:59:59.Z",
        "2026-11-20T14:59:59",
    ]
)
NUMBERS = st.sampled_from(
    [
        "1",
        "0",
        "0.0",
        "-1",
        "1.5",
        "1e3",
        "0.000001",
        "1" * 18,
        "1" * 19,
        "1." + "1" * 17,
        '"5"',
        "true",
        "null",
        "[1]",
        '{"a":"b"}',
    ]
)
OBJECTS = st.sampled_from(
    ["{}", '{"a":"b"}', "[]", '"{}"', "null", '{"a":{"id":"x"}}', '{"a":' + "[" * 70 + "]" * 70 + "}"]
)
VALUES = (
    TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
    | TEXTS.map(json.dumps)
    | TIMES.map(json.dumps)
    | NUMBERS
    | OBJECTS
)

MEMBERS = st.tuples(
    st.sampled_from(
        [
            *order(),
            "order_id",
            "client_id",
            "supersedes",
            "additional_fields",
            "message_id",
            "replayed_at",
            "extra",
            "amount",
        ]
    ),
    VALUES,
)
SPACES = st.sampled_from(["", " ", "\n", "\t "])


@st.composite
def almost_valid(draw: st.DrawFn, event_type: EventType, *, is_stamped: bool) -> bytes:
    """Draw a valid event with a few members replaced, removed, added or doubled, and some space."""
    sample = SAMPLES[event_type]()
    event = json.loads(stamped(sample).value) if is_stamped else sample
    members = [(name, json.dumps(value)) for name, value in event.items()]
    for name, value in draw(st.lists(MEMBERS, max_size=2)):
        where = [index for index, member in enumerate(members) if member[0] == name]
        how = draw(st.sampled_from(["replace", "remove", "add"]))
        if how != "add":
            members = [member for index, member in enumerate(members) if index not in where]
        if how != "remove":
            members.insert(draw(st.integers(0, len(members))), (name, value))
    space = draw(SPACES)
    text = "{" + f",{space}".join(f"{json.dumps(name)}:{space}{value}" for name, value in members) + "}"
    return text.encode()


def rows_seen(*raws: bytes, event_type: EventType = EventType.ORDER) -> list[int]:
    """Return which of these events pass at a glance."""
    looked = Glance(CLIENT_SHAPES[event_type]).look(raws, tenant_id=TENANT, arrived_at=format_instant(NOW))
    return list(looked.rows)


def examined(data: bytes, event_type: EventType, *, is_stamped: bool) -> dict[str, Any] | None:
    try:
        values = examine(
            data, event_type, tenant_id=None if is_stamped else TENANT, arrived_at=None if is_stamped else NOW
        )
    except InvalidInput:
        return None
    return {name: value if isinstance(value, str) else bytes(value) for name, value in values.items()}


@pytest.mark.parametrize("is_stamped", [False, True])
@pytest.mark.parametrize("event_type", list(EventType))
@settings(max_examples=60)
@given(data=st.data())
def test_what_passes_at_a_glance_passes_every_rule_with_the_same_values(
    event_type: EventType, is_stamped: bool, data: st.DataObject
) -> None:
    raws = data.draw(st.lists(almost_valid(event_type, is_stamped=is_stamped), min_size=1, max_size=4))
    shape = (STAMPED_SHAPES if is_stamped else CLIENT_SHAPES)[event_type]
    looked = Glance(shape).look(
        raws, tenant_id=None if is_stamped else TENANT, arrived_at=None if is_stamped else format_instant(NOW)
    )
    for row, event in zip(looked.rows, looked.events, strict=True):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        seen = {
            name: value if isinstance(value, str) else bytes(value)
            for name, value in fields.items()
            if value is not UNSET
        }
        assert examined(raws[row], event_type, is_stamped=is_stamped) == seen


@pytest.mark.parametrize("event_type", list(EventType))
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"client_id": "trader 7"},
        {"client_id": "t", "supersedes": "s"},
        {"additional_fields": {"desk": "A", "limits": [1, 2]}},
        {"additional_fields": {"desk": "A", "limit": 1}},
        {"transact_time": "2026-11-20T15:04:59.9+00:00"},
    ],
)
def test_usual_events_pass_at_a_glance(event_type: EventType, change: dict[str, Any]) -> None:
    assert rows_seen(raw(SAMPLES[event_type](**change)), event_type=event_type) == [0]


@pytest.mark.parametrize(
    "change", [{"price": ...}, {"price": ..., "order_id": "o"}, {"price": ..., "additional_fields": {}}]
)
def test_market_orders_without_a_price_pass_at_a_glance(change: dict[str, Any]) -> None:
    assert rows_seen(raw(order(order_type="market", **change)), raw(order())) == [0, 1]


def test_one_faulty_event_leaves_the_others_of_its_batch_alone() -> None:
    raws = [raw(order(id=f"o-{n}")) for n in range(6)]
    raws[1], raws[3], raws[4] = b"{", raw(order(side="x")), raw(order(quantity=0))
    assert rows_seen(*raws) == [0, 2, 5]


def test_a_doubled_name_and_a_missing_price_do_not_cancel_out() -> None:
    data = raw(order(order_type="market", price=...)).replace(b'"quantity":100', b'"quantity":100,"quantity":100')
    assert rows_seen(data) == []
