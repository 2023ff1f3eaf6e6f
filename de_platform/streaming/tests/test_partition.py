"""What is new in a batch does not depend on how the log was cut into batches."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Record, TopicPartition
from de_platform.streaming.partition import OwnedPartition

TOPIC = "orders_persistence"
SOURCE = TopicPartition(TOPIC, 0)
INPUT = "trade_normalization:0"

origins = st.one_of(
    st.just(""),
    st.builds("{}:{}".format, st.sampled_from([INPUT, "tx_normalization:0"]), st.integers(0, 12)),
)


def records(*texts: str, first: int = 0) -> list[Record]:
    return [Record(first + i, "acme", b"{}", {Header.ORIGIN: text} if text else {}) for i, text in enumerate(texts)]


def taken_in(owned: OwnedPartition[None], parts: Sequence[Sequence[Record]], *, skips_replays: bool) -> list[int]:
    """Return the offsets of what was new. Where reading is to go on stays as it was."""
    fresh: list[int] = []
    for part in parts:
        batch = Batch(TOPIC, 0, part)
        sifted = owned.sift(batch, skips_replays=skips_replays)
        owned.origins[SOURCE] = sifted.highest
        fresh += [record.offset for record in sifted.fresh.records] if sifted.fresh else []
    return fresh


@settings(max_examples=200)
@given(st.lists(origins, min_size=1, max_size=12), st.integers(0, 11), st.sets(st.integers(0, 11)), st.booleans())
def test_a_batch_has_the_same_news_as_its_records_one_by_one(
    texts: list[str], offset: int, poisoned: set[int], skips_replays: bool
) -> None:
    at_once, singly = OwnedPartition(0, None, None), OwnedPartition(0, None, None)
    for owned in (at_once, singly):
        owned.offsets[SOURCE], owned.origins[SOURCE] = offset, {INPUT: 3}
        owned.poisoned = {(TOPIC, number) for number in poisoned}
    batch = records(*texts)
    fresh = taken_in(at_once, [batch], skips_replays=skips_replays)
    assert fresh == taken_in(singly, [[record] for record in batch], skips_replays=skips_replays)
    assert at_once.origins == singly.origins


def test_a_batch_of_ascending_origins_is_new_as_a_whole() -> None:
    owned = OwnedPartition(0, None, None)
    batch = Batch(TOPIC, 0, records(f"{INPUT}:5", f"{INPUT}:7"))
    assert owned.sift(batch, skips_replays=True) == (batch, {INPUT: 7})


def test_what_was_made_from_an_origin_already_taken_is_left_out() -> None:
    owned = OwnedPartition(0, None, None)
    parts = [records(f"{INPUT}:5", f"{INPUT}:7"), records(f"{INPUT}:5", f"{INPUT}:7", f"{INPUT}:8", first=2)]
    assert taken_in(owned, parts, skips_replays=True) == [0, 1, 4]
