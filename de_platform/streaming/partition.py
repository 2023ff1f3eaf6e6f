"""One partition number of a consumer group while this process owns it."""

from collections.abc import Mapping
from typing import Generic, NamedTuple

from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Record, TopicPartition
from de_platform.services.checkpoint_store.interface import Checkpoint
from de_platform.streaming.step import State


class Sifted(NamedTuple):
    """What is new in a batch (None if nothing), and the highest origins once it is taken in."""

    fresh: Batch | None
    highest: dict[str, int]


class OwnedPartition(Generic[State]):
    """State, positions and highest origins; all of them belong together and are checkpointed together."""

    def __init__(self, number: int, state: State, checkpoint: Checkpoint | None) -> None:
        self.number = number
        self.state = state
        self.offsets: dict[TopicPartition, int] = dict(checkpoint.offsets) if checkpoint else {}
        self.origins: dict[TopicPartition, dict[str, int]] = (
            {input_: dict(highest) for input_, highest in checkpoint.origins.items()} if checkpoint else {}
        )
        self.poisoned: set[tuple[str, int]] = set()
        """(topic, offset) of records that were given up since the last restart."""
        self.careful_until: dict[str, int] = {}
        """Per topic: records below this offset are processed one by one, to find the poison among them."""
        self.changed = False
        self.in_doubt = False
        """The state is ahead of what is durable: it must not be checkpointed, only dropped."""
        self.checkpointed_at = 0.0

    def sift(self, batch: Batch, *, skips_replays: bool) -> "Sifted":
        """Separate what was neither processed nor given up before. Pure: `advance` is what moves the positions."""
        source = TopicPartition(batch.topic, batch.partition)
        expected = self.offsets.get(source, 0)
        highest = dict(self.origins.get(source, {}))
        fresh: list[Record] = []
        for record in batch.records:
            if record.offset < expected or (batch.topic, record.offset) in self.poisoned:
                continue
            origin = record.headers.get(Header.ORIGIN) if skips_replays else None
            if origin:
                log, _, offset_text = origin.rpartition(":")
                offset = int(offset_text)
                if offset <= highest.get(log, -1):
                    continue
                highest[log] = offset
            fresh.append(record)
        if len(fresh) == len(batch.records):
            return Sifted(batch, highest)
        return Sifted(Batch(batch.topic, batch.partition, fresh) if fresh else None, highest)

    def advance(self, batch: Batch, highest: dict[str, int]) -> None:
        """Note that everything of this batch is dealt with; `highest` comes from its `sift`."""
        source = TopicPartition(batch.topic, batch.partition)
        self.offsets[source] = batch.next_offset
        self.origins[source] = highest
        self.changed = True

    def careful_topics(self) -> Mapping[str, int]:
        """Forget the careful mode where it has been passed; return what is left."""
        for topic, until in list(self.careful_until.items()):
            if self.offsets.get(TopicPartition(topic, self.number), 0) >= until:
                del self.careful_until[topic]
        return self.careful_until
