"""What a member of a Kafka group hands out, and what it commits for gaps in the offsets."""

import pytest

from de_platform.pipeline.messages import Record, TopicPartition
from de_platform.services.message_queue.contract_support import P0, P1
from de_platform.services.message_queue.kafka_feeds import Feeds, Fetched

ELSEWHERE = TopicPartition("payments", 3)


def records(*offsets: int) -> list[Record]:
    return [Record(offset, "acme", b"123", {}) for offset in offsets]


def offsets_of(feeds: Feeds, max_records: int = 10) -> list[int]:
    batch = feeds.next_batch(max_records)
    return [record.offset for record in batch.records] if batch else []


@pytest.fixture
def feeds() -> Feeds:
    feeds = Feeds()
    feeds.open({P0: 0, P1: None})
    return feeds


def test_partitions_are_served_in_turn(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(*range(9)), P1: records(4)}, {}))
    batches = [feeds.next_batch(2) for _ in range(3)]
    assert [batch.partition for batch in batches if batch] == [0, 1, 0]


def test_what_is_fetched_of_a_partition_that_is_not_owned_any_more_is_dropped(feeds: Feeds) -> None:
    feeds.take_in(Fetched({ELSEWHERE: records(1)}, {ELSEWHERE: 2}))
    assert feeds.next_batch(10) is None


def test_a_closed_partition_takes_its_records_along(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0, 1)}, {}))
    feeds.close([P0, ELSEWHERE])
    assert feeds.next_batch(10) is None
    assert feeds.partitions == {P1}


def test_what_waits_is_counted_without_paused_partitions(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0, 1), P1: records(5)}, {}))
    feeds.pause([P1, ELSEWHERE])
    assert feeds.paused == {P1}
    assert (feeds.waiting_records, feeds.waiting_bytes) == (2, 6)


def test_a_paused_partition_keeps_its_records(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0, 1)}, {}))
    feeds.pause([P0])
    assert offsets_of(feeds) == []
    feeds.resume([P0, P1])
    assert offsets_of(feeds) == [0, 1]


def test_bytes_leave_with_their_records(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0, 1, 2)}, {}))
    feeds.next_batch(2)
    assert feeds.waiting_bytes == 3
    feeds.rewind(P0, 0)
    assert feeds.waiting_bytes == 0


def test_a_commit_before_the_mark_of_a_transaction_counts_for_it_too(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0, 1, 2)}, {P0: 4}))
    assert offsets_of(feeds) == [0, 1, 2]
    assert feeds.stretched({P0: 3}) == {P0: 4}


def test_a_commit_before_a_record_stays_where_it_is(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0, 1, 2)}, {P0: 4}))
    assert offsets_of(feeds, 2) == [0, 1]
    assert feeds.stretched({P0: 2}) == {P0: 2}
    assert offsets_of(feeds, 2) == [2]
    assert feeds.stretched({P0: 2}) == {P0: 2}


def test_a_gap_seen_after_the_commit_is_committed_later(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0)}, {}))
    offsets_of(feeds)
    feeds.note_committed({P0: 1})
    assert feeds.to_stretch() == {}
    feeds.take_in(Fetched({}, {P0: 2}))
    assert feeds.to_stretch() == {P0: 2}
    feeds.note_committed({P0: 2})
    assert feeds.to_stretch() == {}


def test_a_gap_that_grows_is_committed_again(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0)}, {P0: 2}))
    offsets_of(feeds)
    feeds.note_committed({P0: 2})
    feeds.take_in(Fetched({}, {P0: 3}))
    assert feeds.to_stretch() == {P0: 3}


def test_what_is_handed_out_and_not_committed_is_never_committed_for_a_gap(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0), P1: records(0)}, {P0: 2, P1: 2}))
    offsets_of(feeds)
    offsets_of(feeds)
    assert feeds.to_stretch() == {}


def test_a_partition_that_holds_nothing_but_marks_is_committed_up_to_their_end(feeds: Feeds) -> None:
    feeds.take_in(Fetched({}, {P0: 2, P1: 5}))
    assert feeds.to_stretch() == {P0: 2, P1: 5}


def test_an_empty_partition_is_not_committed(feeds: Feeds) -> None:
    feeds.take_in(Fetched({}, {P0: 0, P1: 0}))
    assert feeds.to_stretch() == {}


def test_new_records_end_a_gap(feeds: Feeds) -> None:
    feeds.take_in(Fetched({P0: records(0)}, {P0: 2}))
    offsets_of(feeds)
    feeds.take_in(Fetched({P0: records(2)}, {}))
    assert feeds.stretched({P0: 1}) == {P0: 1}


def test_after_a_move_forward_nothing_is_known_of_what_was_passed_over(feeds: Feeds) -> None:
    feeds.note_committed({P0: 2})
    feeds.rewind(P0, 8)
    feeds.take_in(Fetched({}, {P0: 9}))
    assert feeds.to_stretch() == {}
