"""One partition number of a consumer group while this process owns it."""

from collections.abc import Mapping
from operator import lt
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
        known = self.origins.get(source, {})
        if not self.poisoned and batch.records[0].offset >= expected:
            if not skips_replays:
                return Sifted(batch, dict(known))
            run = _run_of_origins(batch)
            if run is not None and run.first > known.get(run.log, -1):
                return Sifted(batch, {**known, run.log: run.last})
        return self._sifted_one_by_one(batch, expected, dict(known), skips_replays=skips_replays)

    def _sifted_one_by_one(
        self, batch: Batch, expected: int, highest: dict[str, int], *, skips_replays: bool
    ) -> "Sifted":
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


class _Run(NamedTuple):
    """Origins in one log, ascending."""

    log: str
    first: int
    last: int


def _run_of_origins(batch: Batch) -> _Run | None:
    """Return the origins of a batch if they are the usual ones: of one log, each after the one before."""
    origins = [record.headers.get(Header.ORIGIN, "") for record in batch.records]
    log, colon, _ = origins[0].rpartition(":")
    prefix = log + colon
    try:
        offsets = [int(origin.removeprefix(prefix)) for origin in origins]
    except ValueError:
        return None
    if not log or not all(map(lt, offsets, offsets[1:])):
        return None
    return _Run(log, offsets[0], offsets[-1])
