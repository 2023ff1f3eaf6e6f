from hypothesis import given
from hypothesis import strategies as st

from de_platform.pipeline.message_pool import MessagePool

STEMS = st.sampled_from(["0123456789abcdef" * 2, "f" * 32, "F" * 32, "0" * 31, "x" * 32, "", "é" * 32])
POSITIONS = st.sampled_from(
    ["0", "7", "007", "-1", "+1", " 1", "1_0", "٣", "²", "", "999999999", "4294967295", "1" * 30]
)
IDS = st.builds(
    lambda stem, dot, position: stem + dot + position, STEMS, st.sampled_from([".", "", "-", ".."]), POSITIONS
)


@given(st.lists(st.lists(IDS | st.text(max_size=5), max_size=6), max_size=5))
def test_every_id_comes_back(batches: list[list[str]]) -> None:
    pool = MessagePool()
    given_ = [
        (message_id, reference) for ids in batches for message_id, reference in zip(ids, pool.refer(ids), strict=True)
    ]
    assert [pool.text(int(reference)) for _, reference in given_] == [message_id for message_id, _ in given_]


def test_a_stem_is_kept_once() -> None:
    pool = MessagePool()
    pool.refer([f"{'a' * 32}.{position}" for position in range(100)])
    assert len(pool.stems) == 16
    assert pool.odd_ids == []
