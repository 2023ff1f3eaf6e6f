"""Batches of stamped events in; enriched events, duplicates and error records out.

**Consumes** `trade_normalization`, `tx_normalization`; they share the dedup keys of their partition.
**Effects in order**: 1. rates and stored identities are read, 2. the dedup keys change, 3. the loop publishes the
outputs. Whatever is unavailable is so before 2, so the same batch can be tried again. **On crash** see `main`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from de_platform.modules.normalizer.reporting import Report
from de_platform.pipeline import topics
from de_platform.pipeline.currency import RateTable
from de_platform.pipeline.dedup import Arrivals, Deduplicator
from de_platform.pipeline.dedup_checkpoint import DedupSnapshot, confirm, restore, take_snapshot
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, Origin
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.lots import Lot
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.normalization import Reader, Reading, arrivals, value
from de_platform.pipeline.refusals import refuse
from de_platform.pipeline.routing import Judged, Routing, route
from de_platform.pipeline.valuation import rates_needed_at
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import EventIdentity, EventStore
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.rate_store.interface import RateStore
from de_platform.streaming.step import Snapshot, Step

SERVICE = "normalizer"
_OVERLAP = timedelta(minutes=1)
_SECOND_LOOK_SECONDS = 30.0
"""Of two loads at once the one that began first may become visible last. So every half minute what was loaded in the
last minute is asked for again; otherwise only what is newer than all that is known, or a large load would be read
again for every batch.
"""


class NormalizerState:
    """The dedup keys of one partition, and the snapshot of them that is on its way to the checkpoint."""

    def __init__(self, dedup: Deduplicator) -> None:
        self.dedup = dedup
        self.in_flight: DedupSnapshot | None = None


class NormalizerStep(Step[NormalizerState]):
    """Normalises. `is_realtime` says whose events go to the running algorithms."""

    group = SERVICE
    topics = (topics.TRADE_NORMALIZATION, topics.TX_NORMALIZATION)

    def __init__(
        self,
        events: EventStore,
        rates: RateStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        *,
        staleness_limit: timedelta,
        new_salt: Callable[[], int],
        is_realtime: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._events = events
        self._rate_store = rates
        self._rates = RateTable(staleness_limit=staleness_limit)
        self._rates_known_at = ""
        self._looked_twice_at_seconds = 0.0
        self._report = Report(SERVICE, metrics, log)
        self._clock = clock
        self._new_salt = new_salt
        self._is_realtime = is_realtime
        self._readers = {topic: Reader(topic) for topic in self.topics}

    def new_state(self, partition: int) -> NormalizerState:  # noqa: ARG002 - all partitions begin alike
        return NormalizerState(Deduplicator(salt=self._new_salt()))

    async def process(self, batch: Batch, state: NormalizerState) -> Sequence[Message]:
        """Normalise a batch. Raises Unavailable while nothing has changed but what is known of rates."""
        started = self._clock.monotonic_seconds()
        reading = self._readers[batch.topic].read(batch)
        await self._learn_rates(reading)
        refused = list(reading.refused)
        lots = [value(lot, self._rates, refused) for lot in reading.lots]
        arrived = [arrivals(valued, state.dedup) for valued in lots]
        state.dedup.begin(
            batch.topic,
            from_the_start=batch.records[0].offset == 0,
            latest_at=max((one.latest_at for one in arrived), default=""),
        )
        stored = [
            await self._stored(batch, valued.lot, one, state.dedup) for valued, one in zip(lots, arrived, strict=True)
        ]
        judged = [
            Judged(valued, state.dedup.decide(one, known))
            for valued, one, known in zip(lots, arrived, stored, strict=True)
        ]
        routing = Routing(
            topic=batch.topic,
            partition=batch.partition,
            normalized_at=format_instant(self._clock.now()),
            is_realtime=self._is_realtime,
        )
        by_topic = route(routing, judged, refused)
        self._report.batch(batch, judged, refused, by_topic, seconds=self._clock.monotonic_seconds() - started)
        return [message for messages in by_topic.values() for message in messages]

    def snapshot(self, state: NormalizerState) -> Snapshot:
        state.in_flight = take_snapshot(state.dedup)
        return Snapshot(new_segments=state.in_flight.new_segments, kept_segments=state.in_flight.kept_segments)

    def snapshot_saved(self, state: NormalizerState) -> None:
        assert state.in_flight is not None, "a snapshot was taken before it was saved"
        confirm(state.dedup, state.in_flight)
        state.in_flight = None

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> NormalizerState:  # noqa: ARG002
        return NormalizerState(restore(segments))

    def on_poison(self, topic: str, partition: int, record: Record, reason: str) -> Sequence[Message]:
        """Record what could not even be refused, so that the ledger balances."""
        default_type = EventType.TRANSACTION if topic == topics.TX_NORMALIZATION else EventType.ORDER
        error = refuse(
            record,
            Origin(topic, partition, record.offset),
            [FieldError("", f"could not be processed: {reason}")],
            default_type=default_type,
            created_at=format_instant(self._clock.now()),
        )
        return (error,)

    async def _learn_rates(self, reading: Reading) -> None:
        """Make sure that the table has all rates that were loaded when the latest event came in."""
        needed_at = max((rates_needed_at(lot) for lot in reading.lots), default="")
        if needed_at > self._rates_known_at:
            await self.learn_rates()

    async def learn_rates(self) -> None:
        """Add what was loaded since the last time. Raises Unavailable."""
        now, elapsed = self._clock.now(), self._clock.monotonic_seconds()
        newest = self._rates.newest_loaded_at
        is_second_look = elapsed - self._looked_twice_at_seconds >= _SECOND_LOOK_SECONDS
        since = min(newest, now - _OVERLAP) if newest is not None and is_second_look else newest
        self._rates.add(await self._rate_store.loaded_since(since))
        self._rates_known_at = format_instant(now)
        if is_second_look:
            self._looked_twice_at_seconds = elapsed

    async def _stored(self, batch: Batch, lot: Lot, arrived: Arrivals, dedup: Deduplicator) -> Mapping[int, str]:
        """Look up what dedup cannot decide alone: for each such event that is stored, the message that made its row.

        A row that came from the record itself, or from one after it, is what a replay finds of its own
        earlier work: not there yet, as far as the record is concerned.
        """
        wanted = {
            row: EventIdentity(
                lot.stamps.tenant_ids[row], lot.content.ids[row], date.fromisoformat(lot.content.days[row])
            )
            for row in dedup.undecided(arrived)
        }
        if not wanted:
            return {}
        found = await self._events.identities(lot.event_type, list(dict.fromkeys(wanted.values())))
        return {
            row: found[identity].message_id
            for row, identity in wanted.items()
            if identity in found and not _is_at_or_after(found[identity].origin, batch, lot.records[row].offset)
        }


def _is_at_or_after(origin: str, batch: Batch, offset: int) -> bool:
    """Say whether an origin is in the batch's partition, at an offset or after it."""
    log, _, its_offset = origin.rpartition(":")
    return log == f"{batch.topic}:{batch.partition}" and int(its_offset) >= offset
