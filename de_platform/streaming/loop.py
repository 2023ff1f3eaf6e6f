"""The consumer loop: the only code that polls, publishes outputs, checkpoints and commits.

Effects in order, for every partition:

1. outputs of a batch are durable in the queue (`publish` returned), or written by the step itself;
2. every so often: what a sink buffers is flushed, then the checkpoint (state, offsets, highest origins)
   replaces the one before;
3. the checkpoint's offsets are committed to the consumer group.

If the process dies after 1, the successor starts from the last checkpoint and makes the same outputs
again; they carry the same origins, and whoever reads them skips what it has. After 2, the checkpoint is
the truth and the committed offset merely lags behind it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Record, TopicPartition
from de_platform.services.checkpoint_store.interface import CheckpointConflict, CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import (
    Consumer,
    MessageQueueInterface,
    PartitionsLost,
    RebalanceListener,
)
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.dead_letters import dead_letter
from de_platform.streaming.options import LoopOptions, TooManyErrors
from de_platform.streaming.partition import OwnedPartition
from de_platform.streaming.step import PoisonRecord, State, Step

Result = TypeVar("Result")

_CAREFUL_RECORDS_PER_CHECKPOINT = 100


class _Interrupted(Exception):
    """Shutdown was requested, or the partition went away, while waiting for a dependency."""


class ConsumerLoop(RebalanceListener, Generic[State]):
    """Runs one step over the partitions that the group gives this process, until shutdown."""

    def __init__(
        self,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
        step: Step[State],
        options: LoopOptions | None = None,
    ) -> None:
        self._queue = queue
        self._checkpoints = checkpoints
        self._log = log.bind(group=step.group)
        self._metrics = metrics
        self._clock = clock
        self._lifecycle = lifecycle
        self._step = step
        self._options = options or LoopOptions()
        self._consumer: Consumer | None = None
        self._owned: dict[int, OwnedPartition[State]] = {}
        self._consecutive_errors = 0
        self._waiting_for: Unavailable | None = None

    async def run(self) -> int:
        """Consume until shutdown, then checkpoint, commit and leave the group. Returns the exit code.

        Raises TooManyErrors. On the way out every partition whose state is sound is checkpointed.
        """
        self._consumer = await self._join()
        try:
            while not self._lifecycle.is_shutting_down:
                await self._turn()
        finally:
            await self._consumer.close()
        return 0

    async def check_ready(self) -> None:
        """Return when the loop is a member of its group and not waiting for a dependency. Raises Unavailable."""
        if self._waiting_for is not None:
            raise self._waiting_for
        if self._consumer is None:
            raise Unavailable(self._step.group, "has not joined its consumer group yet")

    async def _join(self) -> Consumer:
        delay = self._options.first_backoff_seconds
        while True:
            try:
                return await self._queue.consumer(self._step.topics, self._step.group, listener=self)
            except Unavailable as error:
                self._note_waiting(error, delay)
                await self._clock.sleep(delay)
                delay = min(delay * 2, self._options.max_backoff_seconds)
                if self._lifecycle.is_shutting_down:
                    raise
            finally:
                self._waiting_for = None

    async def _turn(self) -> None:
        consumer = self._joined()
        try:
            batch = await consumer.poll(
                max_records=self._options.max_batch_records, timeout_seconds=self._options.poll_timeout_seconds
            )
        except Unavailable as error:
            await self._pause(error, self._options.first_backoff_seconds)
            return
        if batch is not None and batch.partition in self._owned:
            await self._take_in(self._owned[batch.partition], batch)
        for partition in list(self._owned.values()):
            if self._checkpoint_due(partition, is_quiet=batch is None):
                await self._checkpoint_guarded(partition)

    def _joined(self) -> Consumer:
        assert self._consumer is not None, "the loop is not running"
        return self._consumer

    # taking in

    async def _take_in(self, partition: OwnedPartition[State], batch: Batch) -> None:
        try:
            if batch.topic in partition.careful_topics():
                await self._take_in_carefully(partition, batch)
            else:
                await self._process(partition, batch)
        except _Interrupted:
            return
        except PoisonRecord as poison:
            await self._give_up(partition, batch, poison.offset, str(poison.reason))
        except InvalidInput as error:
            await self._isolate(partition, batch, error)
        except Exception as error:  # noqa: BLE001 - the one place that counts defects and isolates their record
            self._count_defect(error, batch)
            await self._isolate(partition, batch, error)

    async def _take_in_carefully(self, partition: OwnedPartition[State], batch: Batch) -> None:
        """Process one by one, with checkpoints in between so that the next poison does not cost the whole batch."""
        for index, record in enumerate(batch.records, start=1):
            await self._process(partition, Batch(batch.topic, batch.partition, (record,)))
            if index % _CAREFUL_RECORDS_PER_CHECKPOINT == 0:
                await self._checkpoint_guarded(partition)
                if self._owned.get(partition.number) is not partition:
                    raise _Interrupted

    async def _process(self, partition: OwnedPartition[State], batch: Batch) -> None:
        """Run the step and make its outputs durable.

        Effects in order: 1. the state changes, 2. outputs are published, 3. positions advance. Between 1
        and 3 the partition is in doubt: if 2 does not succeed it is dropped and replayed from its checkpoint.
        """
        fresh, highest = partition.sift(batch, skips_replays=self._step.skips_replays)
        if fresh is not None:
            outputs = await self._retrying(partition, lambda: self._step.process(fresh, partition.state))
            if outputs:
                partition.in_doubt = True
                await self._retrying(partition, lambda: self._queue.publish(outputs))
                partition.in_doubt = False
            self._consecutive_errors = 0
        partition.advance(batch, highest)

    async def _retrying(self, partition: OwnedPartition[State], action: Callable[[], Awaitable[Result]]) -> Result:
        delay = self._options.first_backoff_seconds
        while True:
            try:
                result = await action()
            except Unavailable as error:
                await self._pause(error, delay)
                delay = min(delay * 2, self._options.max_backoff_seconds)
                if self._lifecycle.is_shutting_down or self._owned.get(partition.number) is not partition:
                    raise _Interrupted from error
            else:
                self._waiting_for = None
                return result

    async def _pause(self, error: Unavailable, delay: float) -> None:
        """Wait while staying a member of the group: polling with everything paused runs rebalances."""
        self._note_waiting(error, delay)
        consumer = self._joined()
        paused = consumer.assignment
        consumer.pause(paused)
        try:
            early = await consumer.poll(max_records=1, timeout_seconds=delay)
            if early is not None:
                await consumer.seek(_source(early), early.records[0].offset)
        except Unavailable:
            await self._clock.sleep(delay)
        finally:
            consumer.resume(paused & consumer.assignment)

    def _note_waiting(self, error: Unavailable, delay: float) -> None:
        self._waiting_for = error
        self._log.warn("waiting for a dependency", error=str(error), retry_in_seconds=round(delay, 2))

    # poison and defects

    def _count_defect(self, error: Exception, batch: Batch) -> None:
        self._consecutive_errors += 1
        self._log.error(
            "processing failed",
            error=repr(error),
            topic=batch.topic,
            partition=batch.partition,
            first_offset=batch.records[0].offset,
            records=len(batch.records),
            tenant_id=batch.records[0].headers.get(Header.TENANT_ID, ""),
            message_id=batch.records[0].headers.get(Header.MESSAGE_ID, ""),
            consecutive=self._consecutive_errors,
        )
        if self._consecutive_errors >= self._options.max_consecutive_errors:
            self._owned.pop(batch.partition, None)
            raise TooManyErrors(self._step.group, self._consecutive_errors) from error

    async def _isolate(self, partition: OwnedPartition[State], batch: Batch, error: Exception) -> None:
        """Find the record that fails: replay from the checkpoint one by one; if it failed alone, give it up."""
        pending = [r for r in batch.records if r.offset >= partition.offsets.get(_source(batch), 0)]
        alone = len(batch.records) == 1 or batch.topic in partition.careful_until
        if alone and pending:
            await self._give_up(partition, batch, pending[0].offset, repr(error))
            return
        await self._reload(partition, careful={batch.topic: batch.next_offset})

    async def _give_up(self, partition: OwnedPartition[State], batch: Batch, offset: int, reason: str) -> None:
        """Send one record to the dead letters and replay the partition without it.

        Effects in order: 1. the dead letter (and what the step says about it) is durable, 2. the partition
        is reloaded from its checkpoint. After a crash in between the record fails again and gives the same
        dead letter with the same origin.
        """
        record = next((r for r in batch.records if r.offset == offset), None)
        try:
            if record is None:
                record = await self._retrying(partition, lambda: self._reread(batch, offset))
            letter = dead_letter(self._step.group, batch, record, reason)
            about = self._step.on_poison(batch.topic, batch.partition, record, reason)
            await self._retrying(partition, lambda: self._queue.publish([letter, *about]))
        except (_Interrupted, PartitionsLost):
            self._drop(partition)
            return
        self._metrics.counter("dead_letters_total", service=self._step.group, topic=batch.topic)
        self._log.error(
            "record given up",
            topic=batch.topic,
            partition=batch.partition,
            offset=offset,
            tenant_id=record.headers.get(Header.TENANT_ID, ""),
            message_id=record.headers.get(Header.MESSAGE_ID, ""),
            reason=reason,
        )
        partition.poisoned.add((batch.topic, offset))
        await self._reload(partition, careful={})

    async def _reread(self, batch: Batch, offset: int) -> Record:
        """Fetch a record of an earlier batch that a sink refused only at its flush."""
        consumer = self._joined()
        await consumer.seek(_source(batch), offset)
        others = consumer.assignment - {_source(batch)}
        consumer.pause(others)
        try:
            again = await consumer.poll(max_records=1, timeout_seconds=self._options.max_backoff_seconds)
        finally:
            consumer.resume(others & consumer.assignment)
        assert again is not None, "a record of the log cannot be read again"
        assert again.records[0].offset == offset, "a record of the log moved"
        return again.records[0]

    async def _reload(self, partition: OwnedPartition[State], *, careful: Mapping[str, int]) -> None:
        """Replace a partition whose state is suspect by its last checkpoint, and read on from there.

        Where it is not ours any more, or becomes somebody's else while a dependency is waited for, it is dropped:
        whoever gets it next, this process perhaps, starts from the checkpoint as well.
        """
        try:
            fresh = await self._retrying(partition, lambda: self._restore(partition.number))
            committed = await self._retrying(
                partition, lambda: self._queue.committed(self._step.group, self._step.topics)
            )
            consumer = self._joined()
            for source in consumer.assignment:
                if source.partition == partition.number:
                    await consumer.seek(source, fresh.offsets.get(source, committed.get(source, 0)))
        except (_Interrupted, PartitionsLost):
            self._drop(partition)
            return
        fresh.poisoned = partition.poisoned
        fresh.careful_until = {**partition.careful_until, **careful}
        self._owned[partition.number] = fresh

    async def _reload_or_drop(self, partition: OwnedPartition[State]) -> None:
        """Go on from the newest checkpoint where the group still gives this process the partition."""
        if any(source.partition == partition.number for source in self._joined().assignment):
            await self._reload(partition, careful={})
        else:
            self._drop(partition)

    def _drop(self, partition: OwnedPartition[State]) -> None:
        """Forget a partition, unless it has been given to this process anew since."""
        if self._owned.get(partition.number) is partition:
            del self._owned[partition.number]

    # checkpoints

    def _checkpoint_due(self, partition: OwnedPartition[State], *, is_quiet: bool) -> bool:
        """Say whether to checkpoint: at intervals, when the step asks for it, and once nothing more arrives."""
        if not partition.changed:
            return False
        waited = self._clock.monotonic_seconds() - partition.checkpointed_at
        is_time = waited >= self._options.checkpoint_interval_seconds
        is_lull = is_quiet and self._options.checkpoints_when_quiet
        return is_lull or is_time or self._step.flush_due(partition.state)

    async def _checkpoint_guarded(self, partition: OwnedPartition[State]) -> None:
        try:
            await self._retrying(partition, lambda: self._checkpoint(partition))
        except _Interrupted:
            return
        except (PartitionsLost, CheckpointConflict) as error:
            self._log.warn("another member took over, or did for a while", partition=partition.number, error=str(error))
            await self._reload_or_drop(partition)
        except PoisonRecord as poison:
            batch = Batch(poison.topic, poison.partition, ())
            await self._give_up(partition, batch, poison.offset, poison.reason)
        except Exception as error:
            self._consecutive_errors += 1
            self._log.error("checkpoint failed", error=repr(error), consecutive=self._consecutive_errors)
            if self._consecutive_errors >= self._options.max_consecutive_errors:
                self._drop(partition)
                raise TooManyErrors(self._step.group, self._consecutive_errors) from error
            await self._reload(partition, careful={})

    async def _checkpoint(self, partition: OwnedPartition[State]) -> None:
        """Effects in order: 1. flush, 2. checkpoint, 3. commit. Each may be done again from the start."""
        assert not partition.in_doubt, "a state ahead of its outputs is never checkpointed"
        await self._step.flush(partition.state)
        snapshot = self._step.snapshot(partition.state)
        await self._checkpoints.save(
            self._step.group,
            partition.number,
            offsets=partition.offsets,
            origins=partition.origins,
            new_segments=snapshot.new_segments,
            kept_segments=snapshot.kept_segments,
        )
        self._step.snapshot_saved(partition.state)
        await self._joined().commit(partition.offsets)
        partition.changed = False
        partition.checkpointed_at = self._clock.monotonic_seconds()

    # rebalances

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        start: dict[TopicPartition, int] = {}
        for number in sorted({p.partition for p in partitions}):
            owned = await self._restore(number)
            self._owned[number] = owned
            start.update({p: owned.offsets[p] for p in partitions if p in owned.offsets})
        self._log.info("partitions assigned", partitions=_numbers(partitions))
        return start

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        for number in sorted({p.partition for p in partitions}):
            partition = self._owned.pop(number, None)
            if partition is None or partition.in_doubt or not partition.changed:
                continue
            try:
                await self._checkpoint(partition)
            except (Unavailable, PartitionsLost, CheckpointConflict, PoisonRecord) as error:
                self._log.warn("handed over without a checkpoint", partition=number, error=str(error))
        self._log.info("partitions revoked", partitions=_numbers(partitions))

    async def on_lost(self, partitions: frozenset[TopicPartition]) -> None:
        for number in {p.partition for p in partitions}:
            self._owned.pop(number, None)
        self._log.warn("partitions lost", partitions=_numbers(partitions))

    async def _restore(self, number: int) -> OwnedPartition[State]:
        checkpoint = await self._checkpoints.load(self._step.group, number)
        state = self._step.restore(number, checkpoint.segments) if checkpoint else self._step.new_state(number)
        owned = OwnedPartition(number, state, checkpoint)
        owned.changed = checkpoint is not None  # it may not have been committed
        owned.checkpointed_at = self._clock.monotonic_seconds()
        return owned


def _source(batch: Batch) -> TopicPartition:
    return TopicPartition(batch.topic, batch.partition)


def _numbers(partitions: frozenset[TopicPartition]) -> Sequence[int]:
    return sorted({p.partition for p in partitions})
