import gzip
import json

import pytest

from de_platform.pipeline import topics


async def test_the_same_key_and_body_give_the_same_messages_and_answer(door, make_order) -> None:
    batch = {"events": [make_order(), make_order(side="hold")]}
    first = await door.post(batch, idempotency_key="k-1")
    door.clock.advance(60)
    again = await door.post(batch, idempotency_key="k-1")
    assert first.json() == again.json()
    assert first.headers["x-submission-id"] == again.headers["x-submission-id"]
    one, two = door.queue.values(topics.TRADE_NORMALIZATION)
    assert one["message_id"] == two["message_id"]
    one, two = door.queue.values(topics.NORMALIZATION_ERRORS)
    assert one["message_id"] == two["message_id"]
    one, two = door.queue.values(topics.INGESTION_AUDIT)
    assert one["receipt_id"] == two["receipt_id"]


async def test_compressing_a_body_does_not_make_it_another(door, make_order) -> None:
    body = json.dumps({"events": [make_order()]}).encode()
    first = await door.post(body, idempotency_key="k-1")
    again = await door.post(gzip.compress(body), idempotency_key="k-1", content_encoding="gzip")
    assert again.headers["x-submission-id"] == first.headers["x-submission-id"]


async def test_the_same_key_with_another_body_is_refused(door, make_order) -> None:
    await door.post({"events": [make_order()]}, idempotency_key="k-1")
    response = await door.post({"events": [make_order()]}, idempotency_key="k-1")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"
    assert len(door.queue.appends) == 1


async def test_the_same_key_at_another_door_is_another_key(door, make_order) -> None:
    await door.post({"events": [make_order()]}, idempotency_key="k-1")
    assert (await door.post({"events": []}, "transactions", idempotency_key="k-1")).status_code == 200


async def test_when_the_cache_forgets_nothing_is_lost_and_nothing_collides(door, make_order) -> None:
    await door.post({"events": [make_order()]}, idempotency_key="k-1")
    await door.cache.flush()
    await door.post({"events": [make_order()]}, idempotency_key="k-1")
    one, two = door.queue.values(topics.TRADE_NORMALIZATION)
    assert one["message_id"] != two["message_id"]


async def test_without_a_cache_events_are_still_taken_in(door, make_order) -> None:
    door.cache.is_down = True
    batch = {"events": [make_order()]}
    first, again = [await door.post(batch, idempotency_key="k-1") for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.headers["x-submission-id"] == again.headers["x-submission-id"]


async def test_without_a_key_every_request_is_its_own_submission(door, make_order) -> None:
    batch = {"events": [make_order()]}
    first, again = [await door.post(batch) for _ in range(2)]
    assert first.headers["x-submission-id"] != again.headers["x-submission-id"]


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\t"])
async def test_an_implausible_key_is_refused(door, make_order, key: str) -> None:
    response = await door.post({"events": [make_order()]}, idempotency_key=key)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"
    assert door.queue.appends == []
