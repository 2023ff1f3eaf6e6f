import gzip
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from de_platform.http.limits import MAX_BODY_BYTES
from de_platform.pipeline import topics
from de_platform.pipeline.events import EventType, Header

EXECUTION = {
    "id": "exe-1",
    "tenant_id": "acme",
    "status": "filled",
    "transact_time": "2026-01-15T11:59:00Z",
    "order_id": "ord-1",
    "symbol": "AAPL",
    "side": "sell",
    "quantity": 1,
    "price": 1,
    "execution_venue": "XNAS",
    "currency": "EUR",
}
TRANSACTION = {
    "id": "tx-1",
    "tenant_id": "acme",
    "status": "completed",
    "transact_time": "2026-01-15T11:59:00Z",
    "account_id": "a",
    "counterparty_id": "b",
    "amount": 12.5,
    "currency": "EUR",
    "transaction_type": "wire",
}


async def test_valid_events_are_on_their_topic_before_the_answer(door, make_order) -> None:
    response = await door.post({"events": [make_order(), make_order()]})
    assert response.status_code == 200
    assert response.json() == {"accepted": 2, "rejected": 0, "errors": []}
    assert [e["id"] for e in door.queue.values(topics.TRADE_NORMALIZATION)] == ["ord-1", "ord-2"]


@pytest.mark.parametrize(
    ("path", "event", "topic"),
    [
        ("executions", EXECUTION, topics.TRADE_NORMALIZATION),
        ("transactions", TRANSACTION, topics.TX_NORMALIZATION),
    ],
)
async def test_each_type_has_its_door(door, path: str, event: dict[str, Any], topic: str) -> None:
    response = await door.post({"events": [event]}, path)
    assert response.json()["accepted"] == 1
    [message] = door.queue.values(topic)
    assert message["event_type"] == path.removesuffix("s")
    assert message["ingestion_method"] == "rest"


async def test_faulty_events_are_named_and_the_others_pass(door, make_order) -> None:
    bad = make_order(currency="ZZZ", quantity=-1)
    response = await door.post({"events": [make_order(), bad, make_order(), 7]})
    assert response.status_code == 200
    body = response.json()
    assert (body["accepted"], body["rejected"]) == (2, 2)
    assert {(e["event_index"], e["field"]) for e in body["errors"]} == {(1, "currency"), (1, "quantity"), (3, "")}
    records = door.queue.values(topics.NORMALIZATION_ERRORS)
    assert [record["position"] for record in records] == [1, 3]
    assert {e["field"] for e in records[0]["errors"]} == {"currency", "quantity"}


async def test_events_errors_and_receipts_are_one_append(door, make_order) -> None:
    await door.post({"events": [make_order(), make_order(side="hold"), make_order(tenant_id="globex")]})
    [append] = door.queue.appends
    assert sorted(m.topic for m in append) == sorted(
        [topics.TRADE_NORMALIZATION] * 2 + [topics.NORMALIZATION_ERRORS] + [topics.INGESTION_AUDIT] * 2
    )


async def test_each_tenant_gets_a_receipt_that_adds_up(door, make_order) -> None:
    await door.post({"events": [make_order(), make_order(side="hold"), make_order(tenant_id="globex")]})
    receipts = {r["tenant_id"]: r for r in door.queue.values(topics.INGESTION_AUDIT)}
    assert {t: (r["claimed"], r["accepted"], r["rejected"]) for t, r in receipts.items()} == {
        "acme": (2, 1, 1),
        "globex": (1, 1, 0),
    }
    assert all(r["source"] == "rest" and r["final"] for r in receipts.values())


async def test_more_events_than_a_slice_keep_their_positions(door, make_order) -> None:
    events = [make_order(side="hold" if i in (0, 1000, 2499) else "buy") for i in range(2500)]
    body = (await door.post({"events": events})).json()
    assert (body["accepted"], body["rejected"]) == (2497, 3)
    assert [e["event_index"] for e in body["errors"]] == [0, 1000, 2499]
    [receipt] = door.queue.values(topics.INGESTION_AUDIT)
    assert (receipt["claimed"], receipt["accepted"], receipt["rejected"]) == (2500, 2497, 3)
    ids = {e["message_id"] for e in door.queue.values(topics.TRADE_NORMALIZATION)}
    assert len(ids) == 2497


async def test_no_events_are_nothing_to_do(door) -> None:
    response = await door.post({"events": []})
    assert response.json() == {"accepted": 0, "rejected": 0, "errors": []}
    assert door.queue.appends == []


async def test_listed_errors_are_bounded_and_say_so(door) -> None:
    body = (await door.post({"events": [1] * 1500})).json()
    assert body["rejected"] == 1500
    assert len(body["errors"]) == 1000
    assert body["errors_left_off"] == 500
    assert len(door.queue.values(topics.NORMALIZATION_ERRORS)) == 1500


async def test_an_address_bound_to_a_tenant_refuses_other_tenants_events(door, make_order) -> None:
    response = await door.post({"events": [make_order(), make_order(tenant_id="globex")]}, "orders?tenant_id=acme")
    assert (response.json()["accepted"], response.json()["errors"][0]["field"]) == (1, "tenant_id")


async def test_gzip_bodies_are_taken(door, make_order) -> None:
    body = gzip.compress(json.dumps({"events": [make_order()]}).encode())
    response = await door.post(body, content_encoding="gzip")
    assert response.json()["accepted"] == 1


async def test_a_queue_that_is_down_decides_nothing(door, make_order) -> None:
    door.queue.is_down = True
    response = await door.post({"events": [make_order()]}, idempotency_key="k")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert door.queue.appends == []
    door.queue.is_down = False
    assert (await door.post({"events": [make_order(id="another")]}, idempotency_key="k")).status_code == 200


async def test_health_tells_whether_the_queue_answers(door) -> None:
    assert (await door.client.get("/api/v1/health")).json() == {"status": "ok"}
    door.queue.is_down = True
    assert (await door.client.get("/api/v1/health")).status_code == 503


async def test_accepted_events_are_counted(door, make_order) -> None:
    await door.post({"events": [make_order(), make_order(), 1]})
    labels = {"service": "rest_starter", "event_type": "order", "method": "rest"}
    assert door.metrics.value("events_ingested_total", **labels) == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "orders", 405), ("PUT", "orders", 405), ("POST", "bonds", 404), ("POST", "orders?x=1", 422)],
)
async def test_other_requests_are_refused(door, method: str, path: str, status: int) -> None:
    response = await door.client.request(method, f"/api/v1/{path}")
    assert response.status_code == status


async def test_another_media_type_is_refused(door) -> None:
    assert (await door.post(b"{}", content_type="text/plain")).status_code == 415


async def assert_refused_and_recorded_once(door, response: httpx.Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    [record] = door.queue.values(topics.NORMALIZATION_ERRORS)
    assert record["errors"]
    assert record["stage"] == "intake"
    [receipt] = door.queue.values(topics.INGESTION_AUDIT)
    assert (receipt["claimed"], receipt["accepted"], receipt["rejected"]) == (1, 0, 1)
    assert len(door.queue.appends) == 1


MALFORMED = {
    "empty": b"",
    "not json": b"not json",
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "no events": b"{}",
    "events no list": b'{"events": {}}',
    "events null": b'{"events": null}',
    "another field": b'{"events": [], "more": 1}',
    "events twice": b'{"events": [], "events": []}',
    "byte order mark": b'\xef\xbb\xbf{"events": []}',
    "utf-16": '{"events": []}'.encode("utf-16"),
    "invalid utf-8": b'{"events\xff": []}',
    "truncated": b'{"events": [{"id": "a"',
    "trailing garbage": b'{"events": []} x',
    "trailing comma": b'{"events": [1,]}',
    "nan": b'{"events": [NaN]}',
    "infinity": b'{"events": [-Infinity]}',
    "NUL": b'{"events": []}\0',
    "single quotes": b"{'events': []}",
    "100,000 deep": b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and broken": b"[" * 1_000_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_body_that_is_no_batch_is_a_problem_and_one_error_record(door, body: bytes) -> None:
    await assert_refused_and_recorded_once(door, await door.post(body), 422)


async def test_a_body_of_50_megabytes_is_refused(door) -> None:
    body = b'{"events": ["' + b"x" * 50_000_000 + b'"]}'
    await assert_refused_and_recorded_once(door, await door.post(body), 413)


async def test_an_event_of_many_megabytes_is_one_error(door) -> None:
    body = b'{"events": ["' + b"x" * 20_000_000 + b'"]}'
    response = await door.post(body)
    assert response.status_code == 200
    assert response.json()["rejected"] == 1
    assert len(door.queue.appends[0][0].value) < 200_000


async def test_a_gzip_bomb_is_refused(door) -> None:
    bomb = gzip.compress(b'{"events": [' + b" " * (2 * MAX_BODY_BYTES) + b"]}", compresslevel=1)
    await assert_refused_and_recorded_once(door, await door.post(bomb, content_encoding="gzip"), 413)


async def test_broken_gzip_is_refused(door) -> None:
    await assert_refused_and_recorded_once(door, await door.post(b"\x1f\x8bnot", content_encoding="gzip"), 400)


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "event",
    [
        b'{"id": "\xff"}',
        b'{"id":' + DEEP + b"}",
        DEEP,
        b'"\xed\xa0\x80"',
        b'{"id": "\\ud800"}',
        b'{"id": "a", "id": "b"}',
        b"1e999999",
    ],
    ids=["invalid utf-8", "deep field", "deep", "surrogate bytes", "lone surrogate", "twice", "huge number"],
)
async def test_horrible_events_never_break_the_door(door, event: bytes) -> None:
    response = await door.post(b'{"events": [' + event + b"]}")
    assert response.status_code in {200, 422}
    assert len(door.queue.values(topics.NORMALIZATION_ERRORS)) == 1


@given(
    body=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["events", "id"]), inner, max_size=2)
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    path=st.sampled_from([each.plural for each in EventType]),
    encoding=st.sampled_from(["identity", "gzip"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_is_never_answered_with_a_server_error(door, body, path, encoding) -> None:
    response = await door.post(body, path, content_encoding=encoding)
    assert response.status_code < 500


async def test_refused_bodies_of_a_bound_tenant_are_recorded_for_that_tenant(door) -> None:
    await door.post(b"nonsense", "orders?tenant_id=acme")
    [append] = door.queue.appends
    assert {message.headers[Header.TENANT_ID] for message in append} == {"acme"}
