"""Record batches come back as they went in, whatever their headers."""

from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.messages import Message, Record
from de_platform.services.message_queue.local_codec import pack, unpack

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
messages = st.builds(
    Message,
    topic=st.sampled_from(["orders", "payments"]),
    key=texts,
    value=st.binary(max_size=10),
    headers=st.dictionaries(st.sampled_from(["tenant_id", "origin", ""]), texts),
)


@settings(max_examples=100)
@given(st.lists(messages, min_size=1, max_size=12))
def test_packed_messages_come_back_in_order(batch: list[Message]) -> None:
    ids = {"orders": (0,), "payments": (1,)}
    got = {b.partition_id: unpack(b.payload, 10) for b in pack(batch, ids)}
    for number, topic in enumerate(ids):
        expected = [m for m in batch if m.topic == topic]
        assert got.get(number, ()) == tuple(Record(10 + i, m.key, m.value, m.headers) for i, m in enumerate(expected))


def test_any_mapping_will_do_for_headers() -> None:
    read_only = [MappingProxyType({"a": "1"}), MappingProxyType({"b": "2"})]
    batch = [Message(topic="orders", key="k", value=b"", headers=h) for h in read_only]
    (packed,) = pack(batch, {"orders": (0,)})
    assert [r.headers for r in unpack(packed.payload, 0)] == [{"a": "1"}, {"b": "2"}]


def test_headers_that_all_records_share_take_no_space_for_each() -> None:
    def size(count: int) -> int:
        batch = [Message(topic="orders", key="k", value=b"", headers={"tenant_id": "x" * 100})] * count
        return sum(len(b.payload) for b in pack(batch, {"orders": (0,)}))

    assert size(1000) - size(500) < 500 * 5
