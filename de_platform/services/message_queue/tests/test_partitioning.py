"""Laws of partitioning and sharing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.message_queue.partitioning import claimable, partition_of, share_of

TOPICS = {"a": 4, "b": 4, "c": 7}
subscriptions = st.dictionaries(
    st.text("xyz", min_size=1), st.frozensets(st.sampled_from(sorted(TOPICS)), min_size=1), min_size=1, max_size=6
)


def test_partitions_of_keys_never_change() -> None:
    keys = ("acme", "globex", "initech", "", "schlüssel")
    assert [partition_of(key, 4) for key in keys] == [3, 0, 3, 1, 0]


@settings(max_examples=100)
@given(subscriptions)
def test_every_partition_that_someone_reads_belongs_to_exactly_one_member(
    members: dict[str, frozenset[str]],
) -> None:
    owned = [p for m in members for p in share_of(m, members, TOPICS)]
    read = frozenset().union(*members.values())
    assert sorted(owned) == sorted(TopicPartition(t, p) for t in read for p in range(TOPICS[t]))


@settings(max_examples=50)
@given(st.sets(st.text("xyz", min_size=1), min_size=1, max_size=6))
def test_members_alike_own_the_same_numbers_of_topics_alike(names: set[str]) -> None:
    members = {name: frozenset({"a", "b"}) for name in names}
    for name in names:
        share = share_of(name, members, TOPICS)
        assert {p.partition for p in share if p.topic == "a"} == {p.partition for p in share if p.topic == "b"}


@settings(max_examples=50)
@given(subscriptions)
def test_no_member_has_over_one_partition_of_a_topic_more_than_another(members: dict[str, frozenset[str]]) -> None:
    for topic in TOPICS:
        sizes = [sum(p.topic == topic for p in share_of(m, members, TOPICS)) for m in members if topic in members[m]]
        assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_a_number_is_claimable_once_all_its_topics_are_free() -> None:
    share = frozenset(TopicPartition(t, p) for t in ("a", "b") for p in (0, 1))
    assert claimable(share, frozenset({TopicPartition("b", 1)})) == {TopicPartition("a", 0), TopicPartition("b", 0)}
