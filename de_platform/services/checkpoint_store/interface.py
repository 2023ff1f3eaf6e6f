"""Where a consumer's state rests between crashes, together with the offsets it belongs to.

State is a set of named, immutable segments. A save writes new segments and then, atomically, the
manifest that lists them; segments that no manifest lists any more are removed afterwards. A large
state that changes little (dedup keys, say) adds a small segment a save instead of writing everything.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from de_platform.pipeline.messages import TopicPartition


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one partition number of a group, after everything below `offsets` was processed."""

    offsets: dict[TopicPartition, int]
    """Next offset to read, per input partition."""
    origins: dict[TopicPartition, dict[str, int]] = {}
    """Per input partition: the highest origin offset taken in, per origin partition (`topic:partition`)."""
    segments: Mapping[str, bytes] = {}


class CheckpointConflict(Exception):
    """Another member replaced the checkpoint since this store object loaded or saved it: its owner is stale or late."""

    def __init__(self, group: str, partition: int) -> None:
        super().__init__(f"checkpoint of {group}/{partition} was replaced by another member")


class CheckpointDamaged(Exception):
    """What is stored is not what was saved: something is missing or altered. An operator must decide; never guess."""

    def __init__(self, group: str, partition: int, fault: str) -> None:
        self.group = group
        self.partition = partition
        super().__init__(f"checkpoint of {group}/{partition} is damaged: {fault}")


class CheckpointStore(ABC):
    """Load and save checkpoints by (group, partition number). Raises Unavailable."""

    @abstractmethod
    async def load(self, group: str, partition: int) -> Checkpoint | None:
        """Return the last saved checkpoint with all its segments, or None. Raises CheckpointDamaged."""

    @abstractmethod
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
        """Replace the checkpoint by one that has exactly `new_segments` and the earlier `kept_segments`.

        Effects in order: 1. segments written, 2. manifest replaced (durable on return), 3. segments that
        are no longer listed removed. A crash after 1 or 2 leaves unlisted files, which the next save removes.
        A segment name is never reused for other bytes within a checkpoint chain.

        Raises CheckpointConflict, before any effect, when the manifest is not the one that this object
        loaded or saved last for that partition: so a stale owner never overwrites its successor's.
        """
