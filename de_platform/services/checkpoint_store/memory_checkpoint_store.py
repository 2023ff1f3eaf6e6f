"""Checkpoints as a fake: a dict that several store objects may share, as several processes share a disk."""

from collections.abc import Mapping
from typing import NamedTuple

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.checkpoint_store.interface import Checkpoint, CheckpointConflict, CheckpointStore


class _Saved(NamedTuple):
    number: int
    checkpoint: Checkpoint


class MemoryCheckpointStore(CheckpointStore):
    """Copies what it is given. Forgets everything with the last object that shares it."""

    def __init__(self, shared_with: "MemoryCheckpointStore | None" = None) -> None:
        self._stored: dict[tuple[str, int], _Saved] = {} if shared_with is None else shared_with._stored
        self._saves: dict[tuple[str, int], int] = {}

    async def load(self, group: str, partition: int) -> Checkpoint | None:
        saved = self._stored.get((group, partition))
        self._saves[group, partition] = saved.number if saved else 0
        return saved.checkpoint if saved else None

    async def save(
        self,
        group: str,
        partition: int,
        *,
        offsets: Mapping[TopicPartition, int],
        origins: Mapping[TopicPartition, Mapping[str, int]],
        new_segments: Mapping[str, bytes],
        kept_segments: frozenset[str],
    ) -> None:
        saved = self._stored.get((group, partition))
        number = saved.number if saved else 0
        if number != self._saves.get((group, partition), 0):
            raise CheckpointConflict(group, partition)
        earlier = saved.checkpoint.segments if saved else {}
        assert kept_segments <= earlier.keys(), "a kept segment is one of the checkpoint before"
        checkpoint = Checkpoint(
            offsets=dict(offsets),
            origins={source: dict(highest) for source, highest in origins.items()},
            segments={
                **{name: earlier[name] for name in kept_segments},
                **{name: bytes(data) for name, data in new_segments.items()},
            },
        )
        self._stored[group, partition] = _Saved(number + 1, checkpoint)
        self._saves[group, partition] = number + 1
