"""What every checkpoint store does. An implementation's test class adds `store`, and `another` on the same storage."""

import pytest

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.checkpoint_store.interface import Checkpoint, CheckpointConflict, CheckpointStore

ORDERS_0 = TopicPartition("orders", 0)
PAYMENTS_0 = TopicPartition("payments", 0)


async def save(
    store: CheckpointStore, offset: int, new: dict[str, bytes] | None = None, kept: frozenset[str] = frozenset()
) -> None:
    """Save a valid checkpoint of group `g`, partition 0."""
    await store.save("g", 0, offsets={ORDERS_0: offset}, origins={}, new_segments=new or {}, kept_segments=kept)


class CheckpointStoreContract:
    """State and offsets, together or not at all."""

    async def test_there_is_nothing_at_first(self, store: CheckpointStore) -> None:
        assert await store.load("g", 0) is None

    async def test_what_was_saved_is_loaded(self, store: CheckpointStore, another: CheckpointStore) -> None:
        await store.save(
            "g",
            0,
            offsets={ORDERS_0: 5, PAYMENTS_0: 0},
            origins={ORDERS_0: {"raw:0": 17, "raw:1": -1}},
            new_segments={"keys-1": bytes(range(256)), "a/b..c %": b""},
            kept_segments=frozenset(),
        )
        assert await another.load("g", 0) == Checkpoint(
            offsets={ORDERS_0: 5, PAYMENTS_0: 0},
            origins={ORDERS_0: {"raw:0": 17, "raw:1": -1}},
            segments={"keys-1": bytes(range(256)), "a/b..c %": b""},
        )

    async def test_a_save_keeps_exactly_what_it_names(self, store: CheckpointStore) -> None:
        await save(store, 1, {"a": b"1", "b": b"2"})
        await save(store, 2, {"c": b"3"}, frozenset({"b"}))
        loaded = await store.load("g", 0)
        assert loaded is not None
        assert dict(loaded.segments) == {"b": b"2", "c": b"3"}
        assert loaded.offsets == {ORDERS_0: 2}

    async def test_groups_and_partitions_are_apart(self, store: CheckpointStore) -> None:
        await save(store, 1, {"a": b"1"})
        assert await store.load("g", 1) is None
        assert await store.load("g/0", 0) is None
        assert await store.load("h", 0) is None

    async def test_partition_one_is_not_a_prefix_of_partition_ten(self, store: CheckpointStore) -> None:
        await store.save("g", 10, offsets={}, origins={}, new_segments={}, kept_segments=frozenset())
        assert await store.load("g", 1) is None

    async def test_a_stale_owner_cannot_overwrite_its_successor(
        self, store: CheckpointStore, another: CheckpointStore
    ) -> None:
        await save(store, 1, {"a": b"1"})
        await another.load("g", 0)
        await save(another, 2, {"b": b"2"}, frozenset({"a"}))
        with pytest.raises(CheckpointConflict):
            await save(store, 3, {"b": b"3"}, frozenset({"a"}))
        loaded = await another.load("g", 0)
        assert loaded is not None
        assert (loaded.offsets, dict(loaded.segments)) == ({ORDERS_0: 2}, {"a": b"1", "b": b"2"})

    async def test_who_did_not_load_cannot_overwrite(self, store: CheckpointStore, another: CheckpointStore) -> None:
        await save(store, 1)
        with pytest.raises(CheckpointConflict):
            await save(another, 2)

    async def test_loading_again_settles_a_conflict(self, store: CheckpointStore, another: CheckpointStore) -> None:
        await save(store, 1)
        await another.load("g", 0)
        await save(another, 2)
        await store.load("g", 0)
        await save(store, 3)
        loaded = await another.load("g", 0)
        assert loaded is not None
        assert loaded.offsets == {ORDERS_0: 3}

    async def test_saved_state_does_not_change_with_the_savers_objects(self, store: CheckpointStore) -> None:
        offsets, highest = {ORDERS_0: 1}, {"raw:0": 1}
        await store.save(
            "g", 0, offsets=offsets, origins={ORDERS_0: highest}, new_segments={}, kept_segments=frozenset()
        )
        offsets[ORDERS_0] = highest["raw:0"] = 9
        loaded = await store.load("g", 0)
        assert loaded is not None
        assert (loaded.offsets, loaded.origins) == ({ORDERS_0: 1}, {ORDERS_0: {"raw:0": 1}})
