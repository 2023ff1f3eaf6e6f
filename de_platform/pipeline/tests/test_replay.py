"""Replay: the same message once more, marked; never a message under another name."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from de_platform.pipeline.decoding import StampedDecoder
from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.intake import Submission, take_in
from de_platform.pipeline.messages import Message
from de_platform.pipeline.replay import replay

THEN = datetime(2026, 1, 15, 12, tzinfo=UTC)
NOW = datetime(2026, 1, 16, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
EVENT = {
    "id": "t-1",
    "tenant_id": "acme",
    "status": "completed",
    "transact_time": "2026-01-15T10:00:00Z",
    "account_id": "a",
    "counterparty_id": "b",
    "amount": 12.5,
    "currency": "USD",
    "transaction_type": "wire",
}


def submission(**changes: object) -> Submission:
    given = {
        "tenant_id": "acme",
        "event_type": EventType.TRANSACTION,
        "method": IngestionMethod.KAFKA,
        "submission_id": "client_transactions/0",
        "received_at": THEN,
    }
    return Submission(**{**given, **changes})


def stamped(raw: bytes) -> Message:
    (message,) = take_in(submission(), [raw], positions=[7], origins=["client_transactions:0:7"]).messages
    return message


def raw(**changes: object) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def refused_by_normalizer(message: Message) -> ErrorRecord:
    return ErrorRecord.of(
        message.value,
        [FieldError("currency", "no rate")],
        event_type=EventType.TRANSACTION,
        tenant_id="acme",
        created_at=format_instant(THEN),
        message_id=message.headers["message_id"],
        ingestion_method="kafka",
        submission_id="client_transactions/0",
        position=7,
        stage=Stage.NORMALIZER,
        origin="tx_normalization:1:3",
    )


def refused_at_the_door(event: bytes, **changes: object) -> ErrorRecord:
    (message,) = take_in(submission(**changes), [event], positions=[7], origins=["client_transactions:0:7"]).messages
    return msgspec.json.decode(message.value, type=ErrorRecord)


def test_event_that_lacked_a_rate_keeps_its_identity_and_its_arrival() -> None:
    original = stamped(raw())
    again = replay(refused_by_normalizer(original), replayed_at=NOW)
    assert (again.topic, again.key) == (original.topic, original.key)
    assert json.loads(again.value) == {**json.loads(original.value), "replayed_at": format_instant(NOW)}
    assert again.headers == {k: v for k, v in original.headers.items() if k not in ("origin", "checked")}


def test_normaliser_takes_a_replayed_event() -> None:
    again = replay(refused_by_normalizer(stamped(raw())), replayed_at=NOW)
    [decoded] = StampedDecoder(EventType.TRANSACTION).decode([again.value]).events
    assert decoded.replayed_at == format_instant(NOW)


def test_second_replay_replaces_the_mark_of_the_first() -> None:
    first = replay(refused_by_normalizer(stamped(raw())), replayed_at=NOW)
    second = replay(refused_by_normalizer(first), replayed_at=LATER)
    assert second.value.count(b"replayed_at") == 1
    assert json.loads(second.value)["replayed_at"] == format_instant(LATER)


def test_mark_within_the_clients_text_is_left_alone() -> None:
    event = raw(additional_fields={"note": ',"replayed_at":"2026-01-01T00:00:00Z"}'})
    again = json.loads(replay(refused_by_normalizer(stamped(event)), replayed_at=NOW).value)
    assert again["additional_fields"] == {"note": ',"replayed_at":"2026-01-01T00:00:00Z"}'}


def test_event_that_came_too_early_is_taken_in_once_its_time_has_come() -> None:
    record = refused_at_the_door(raw(transact_time="2026-01-15T18:00:00Z"))
    again = replay(record, replayed_at=NOW)
    body = json.loads(again.value)
    assert body["message_id"] == again.headers["message_id"] == record.message_id
    assert body["ingested_at"] == body["replayed_at"] == format_instant(NOW)
    assert not {"origin", "checked"} & again.headers.keys()


def test_replaying_what_is_still_invalid_says_why() -> None:
    with pytest.raises(InvalidInput, match="amount"):
        replay(refused_at_the_door(raw(amount=-1)), replayed_at=NOW)


@pytest.mark.parametrize("event", [b"", b"\xff\xfe", b"{", b"[" * 10_000, b"x" * 100_000])
def test_bytes_that_are_no_event_stay_refused(event) -> None:
    with pytest.raises(InvalidInput):
        replay(refused_at_the_door(event), replayed_at=NOW)


def test_record_of_a_shared_door_keeps_its_identity() -> None:
    record = refused_at_the_door(raw(transact_time="2026-01-15T18:00:00Z"), tenant_id=None)
    assert replay(record, replayed_at=NOW).headers["message_id"] == record.message_id


def test_record_that_was_cut_is_not_replayed() -> None:
    record = refused_by_normalizer(stamped(raw()))
    cut = msgspec.structs.replace(record, raw_data="x" * 65536 + " [cut: 70000 bytes, sha256 00]")
    with pytest.raises(InvalidInput, match="cut"):
        replay(cut, replayed_at=NOW)


def test_record_about_another_message_is_not_replayed() -> None:
    record = refused_by_normalizer(stamped(raw()))
    with pytest.raises(InvalidInput, match="another message"):
        replay(msgspec.structs.replace(record, message_id="f" * 32 + ".7"), replayed_at=NOW)
