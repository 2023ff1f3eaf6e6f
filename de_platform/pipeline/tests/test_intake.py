import json

import pytest

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.glance import RULES
from de_platform.pipeline.intake import Tally, receipt, reject, split_events, take_in
from de_platform.pipeline.tests.sample_events import SAMPLES, TENANT, order, raw, submission


@pytest.mark.parametrize("event_type", list(EventType))
def test_a_valid_event_is_stamped_behind_its_own_bytes(event_type: EventType) -> None:
    data = raw(SAMPLES[event_type](desk="Zürich"))
    (message,) = take_in(submission(event_type), [data], positions=[7]).messages
    assert message.value.startswith(data[:-1])
    stamps = {name: value for name, value in json.loads(message.value).items() if name not in json.loads(data)}
    assert stamps == {
        "message_id": message.headers["message_id"],
        "ingested_at": "2026-11-20T15:00:00.000000Z",
        "event_type": event_type.value,
        "ingestion_method": "rest",
        "submission_id": "request-1",
    }
    assert message.headers == {
        "tenant_id": TENANT,
        "event_type": event_type.value,
        "ingestion_method": "rest",
        "ingested_at": "2026-11-20T15:00:00.000000Z",
        "message_id": stamps["message_id"],
        "checked": "",
    }
    assert stamps["message_id"].endswith(".7")
    assert message.key == TENANT


def test_only_what_passes_at_a_glance_is_marked_as_checked() -> None:
    usual, unknown_field, too_many_digits = order(), order(desk="A"), order(quantity=0.1234567890123456)
    messages = take_in(
        submission(), list(map(raw, (usual, unknown_field, too_many_digits))), positions=range(3)
    ).messages
    assert [message.headers["checked"] for message in messages] == [RULES, "", ""]


def test_space_around_an_event_does_not_matter() -> None:
    (message,) = take_in(submission(), [b" " + raw(order()) + b" \r\n"], positions=[0]).messages
    assert json.loads(message.value)["submission_id"] == "request-1"


def test_one_faulty_event_is_one_error_record_between_its_neighbours() -> None:
    raws = [raw(order(id="a")), raw(order(side="x", price=-1)), raw(order(id="c"))]
    intake = take_in(submission(), raws, positions=[4, 5, 6])
    assert [message.topic for message in intake.messages] == [
        "trade_normalization",
        "normalization_errors",
        "trade_normalization",
    ]
    record = json.loads(intake.messages[1].value)
    assert record == {
        "event_type": "order",
        "tenant_id": TENANT,
        "errors": [
            {"field": "side", "message": "must be buy or sell"},
            {"field": "price", "message": "must be greater than 0"},
        ],
        "raw_data": raws[1].decode(),
        "created_at": "2026-11-20T15:00:00.000000Z",
        "message_id": intake.messages[1].headers["message_id"],
        "ingestion_method": "rest",
        "submission_id": "request-1",
        "position": 5,
        "stage": "intake",
        "origin": "",
    }
    assert intake.accepted == 2
    assert [rejection.position for rejection in intake.rejections] == [5]
    assert intake.tallies == {TENANT: Tally(2, 1)}


def test_the_same_submission_gives_the_same_messages() -> None:
    raws = [raw(order()), b"{"]
    assert take_in(submission(), raws, positions=[0, 1]) == take_in(submission(), raws, positions=[0, 1])


@pytest.mark.parametrize(
    "changes",
    [{"submission_id": "request-2"}, {"method": IngestionMethod.FILE}, {"tenant_id": "other"}],
)
def test_another_submission_gives_other_message_ids(changes: dict[str, object]) -> None:
    events = [raw(order())], [raw(order(tenant_id=changes.get("tenant_id", TENANT)))]
    ids = {
        take_in(one, raws, positions=[0]).messages[0].headers["message_id"]
        for one, raws in zip((submission(), submission(**changes)), events, strict=True)
    }
    assert len(ids) == 2


def test_an_event_of_another_tenant_is_an_error_of_the_door_s_tenant() -> None:
    intake = take_in(submission(), [raw(order(tenant_id="other"))], positions=[0])
    (message,) = intake.messages
    assert (message.topic, message.key, message.headers["tenant_id"]) == ("normalization_errors", TENANT, TENANT)
    assert [error.field for error in intake.rejections[0].errors] == ["tenant_id"]


def test_a_shared_door_takes_the_tenant_from_the_event() -> None:
    raws = [raw(order(tenant_id="a")), raw(order(tenant_id="b", side="x")), raw(order(tenant_id="platform")), b"["]
    intake = take_in(submission(tenant_id=None), raws, positions=range(4))
    assert [message.key for message in intake.messages] == ["a", "b", "", ""]
    assert intake.tallies == {"": Tally(0, 2), "a": Tally(1, 0), "b": Tally(0, 1)}


def test_origins_ride_along() -> None:
    raws = [raw(order()), b"{"]
    messages = take_in(
        submission(), raws, positions=[0, 1], origins=["client_orders:0:5", "client_orders:0:6"]
    ).messages
    assert [message.headers["origin"] for message in messages] == ["client_orders:0:5", "client_orders:0:6"]
    assert json.loads(messages[1].value)["origin"] == "client_orders:0:6"


def test_bytes_that_are_not_text_are_recorded_readably() -> None:
    message = reject(submission(), b'{"id":"\xff"}', position=3, errors=[FieldError("", "broken")])
    assert json.loads(message.value)["raw_data"] == 'escaped bytes: {"id":"\\xff"}'


def test_a_submission_id_with_quotes_is_escaped() -> None:
    (message,) = take_in(submission(submission_id='a"\\b'), [raw(order())], positions=[0]).messages
    assert json.loads(message.value)["submission_id"] == 'a"\\b'


def test_a_receipt_says_what_was_claimed_and_what_became_of_it() -> None:
    message = receipt(
        submission(source_name="orders.jsonl"),
        tenant_id=TENANT,
        first_position=1,
        claimed=3,
        accepted=2,
        rejected=1,
        final=True,
    )
    body = json.loads(message.value)
    assert message.topic == "ingestion_audit"
    assert body == {
        "receipt_id": message.headers["message_id"],
        "tenant_id": TENANT,
        "source": "rest",
        "name": "orders.jsonl",
        "submission_id": "request-1",
        "event_type": "order",
        "first_position": 1,
        "claimed": 3,
        "accepted": 2,
        "rejected": 1,
        "received_at": "2026-11-20T15:00:00.000000Z",
        "final": True,
    }


def test_receipts_of_parts_have_ids_of_their_own() -> None:
    counts = {"claimed": 1, "accepted": 1, "rejected": 0}
    ids = {
        receipt(submission(), tenant_id=tenant, first_position=first, final=False, **counts).headers["message_id"]
        for tenant in ("a", "b")
        for first in (0, 100)
    }
    assert len(ids) == 4


def test_events_are_split_as_they_were_sent() -> None:
    assert split_events(b' { "events" : [ {"a": 1.50} ,"x", 5,[ ] ] } \n') == [b'{"a": 1.50}', b'"x"', b"5", b"[ ]"]
    assert split_events(b'{"events":[]}') == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"events":{}}',
        b'{"events":null}',
        b'{"event":[]}',
        b"{}",
        b'{"events":[1]} x',
        b'{"events":[1],}',
        b'{"events":[1]',
        b'{"events":[1],"events":[2]}',
        b'{"events":[1],"\\u0065vents":[1]}',
        b'{"\\u0065vents":[1],"events":[1]}',
        b'{"events":[1],"more":2}',
        b'{"events":[NaN]}',
        b"\xef\xbb\xbf" + b'{"events":[]}',
        '{"events":[]}'.encode("utf-16"),
        b'{"events":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"events":["\xff"], "\xff": 1}',
    ],
)
def test_any_other_body_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        split_events(body)
