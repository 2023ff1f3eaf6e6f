"""What a module gives the consumer loop: how one batch becomes outputs, and what its state is.

A step decides; the loop acts. The loop polls, skips what it has seen (by origin), calls the step,
makes outputs durable, checkpoints state with offsets, commits, backs off, isolates poison, drains.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from de_platform.pipeline.messages import Batch, Message, Record

State = TypeVar("State")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A state as named immutable segments (see `services/checkpoint_store`): new bytes, and names to keep."""

    new_segments: Mapping[str, bytes] = {}
    kept_segments: frozenset[str] = frozenset()


class PoisonRecord(Exception):
    """A sink refuses one record for good; the loop sends it to the dead letters and goes on without it."""

    def __init__(self, *, topic: str, partition: int, offset: int, reason: str) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.reason = reason
        super().__init__(f"{topic}/{partition}@{offset}: {reason}")


class Step(ABC, Generic[State]):
    """One stage of the pipeline. Holds no per-partition state itself: the loop hands each partition's state in.

    `process` must be a function of the state and the batch (and of versioned configuration and rates):
    doing it again after a crash gives the same outputs.
    """

    group: str
    """Consumer group, normally the module's name."""
    topics: Sequence[str]
    """Input topics; partition p of all of them shares one state."""
    skips_replays = True
    """Whether records with an origin at or below the highest one taken are skipped.

    False where one input record may have several outputs on a topic and the sink is idempotent by identity.
    """

    @abstractmethod
    def new_state(self, partition: int) -> State:
        """Return the state before the first record."""

    @abstractmethod
    async def process(self, batch: Batch, state: State) -> Sequence[Message]:
        """Take in a batch, change `state`, return the outputs.

        Every output carries the header `origin` naming the record it was made from. A sink returns no
        messages; it writes idempotently, or buffers in `state` until `flush`. Raises Unavailable (the loop
        retries the same batch: nothing of `state` may have changed by then), InvalidInput or PoisonRecord
        for a record that can never pass, or anything else for a defect.
        """

    async def flush(self, state: State) -> None:
        """Make durable whatever `state` buffers; called before every checkpoint, again after Unavailable."""

    def flush_due(self, state: State) -> bool:  # noqa: ARG002
        """Say whether a checkpoint should come now instead of at the next interval (a full buffer, say)."""
        return False

    def snapshot(self, state: State) -> Snapshot:  # noqa: ARG002
        """Return the state as segments. Called after `flush`; `snapshot_saved` confirms a durable save."""
        return Snapshot()

    def snapshot_saved(self, state: State) -> None:
        """Learn that the last snapshot is durable: its new segments may be listed as kept from now on."""

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> State:  # noqa: ARG002
        """Build the state from the segments of a checkpoint."""
        return self.new_state(partition)

    def on_poison(self, topic: str, partition: int, record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG002
        """Return what this stage publishes about a record that it had to give up, beside its dead letter."""
        return ()
