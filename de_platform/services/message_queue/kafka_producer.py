"""Threads that append to Kafka, each with a transactional producer of its own.

**All or none.** What one `publish` brings is in one transaction, so readers that skip what is not
committed see all of it or nothing. Publishes that wait while a transaction runs share the next one. A
transaction costs 3 to 10 ms, whatever it holds; the broker finishes one in the background after its
producer was told, and lets the same producer wait for that, so two producers take turns.

**Order of effects of a transaction.** 1. it is begun, 2. messages are queued, sent and acknowledged by
all replicas in sync, 3. it is committed, 4. the futures are done. If 2 fails it is aborted and nothing
was published. If 3 fails nobody knows; the producer is given up and a new one of the same name asks the
broker to settle what the former left open. If the process dies, the broker aborts what is open after
`TRANSACTION_SECONDS` (and up to ten more, its default interval of looking); until then readers of those
partitions wait before it.

**Memory.** A producer queues at most 64 MiB; then its thread waits for deliveries and everybody who
publishes waits for the thread.
"""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Producer

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import Message
from de_platform.services.message_queue.kafka_errors import DEPENDENCY, LibraryLog, as_platform_error, error_of
from de_platform.services.message_queue.kafka_settings import KafkaSettings, Options

TRANSACTION_SECONDS = 15.0
DELIVERY_SECONDS = 10.0
_ABORT_SECONDS = 2.0
_IDLE_SECONDS = 1.0
_FULL_QUEUE_WAIT_SECONDS = 0.05
_MAX_SHARED_PUBLISHES = 256
_MAX_SHARED_MESSAGES = 10_000
_PRODUCERS = 2


class Placed(NamedTuple):
    """A message and where it goes, by the cluster's name of the topic."""

    topic: str
    partition: int
    message: Message


class _Publish(NamedTuple):
    messages: Sequence[Placed]
    future: Future[None]


def producer_configuration(settings: KafkaSettings) -> Options:
    """Return what a producer is configured with, but for its name."""
    return {
        **settings.connection(),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 0,
        "transaction.timeout.ms": round(TRANSACTION_SECONDS * 1000),
        "message.timeout.ms": round(DELIVERY_SECONDS * 1000),
        "queue.buffering.max.kbytes": 65_536,
        "queue.buffering.max.messages": 100_000,
        "retry.backoff.ms": 20,
        "delivery.report.only.error": True,
    }


class TransactionalWriters:
    """The threads of one queue. A future is done once its messages are committed, or have come to nothing.

    Of two publishes the second of which was begun after the first was done, the first comes first in every
    partition. What comes out of a future: InvalidInput for a message that the cluster will never take
    (nothing was published), Unavailable otherwise (the outcome is unknown).
    """

    def __init__(self, configuration: Options) -> None:
        self._publishes: queue.SimpleQueue[_Publish | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(
                target=_Writer(configuration, self._publishes).run, name=f"kafka-producer-{number}", daemon=True
            )
            for number in range(_PRODUCERS)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, messages: Sequence[Placed]) -> "Future[None]":
        """Have messages published together."""
        future: Future[None] = Future()
        self._publishes.put(_Publish(messages, future))
        return future

    def stop(self, timeout_seconds: float) -> None:
        """Finish what was submitted. Blocks, at most as long as said; after that the threads end on their own."""
        deadline = time.monotonic() + timeout_seconds
        for _ in self._threads:
            self._publishes.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


class _Writer:
    """One thread's work."""

    def __init__(self, configuration: Options, publishes: "queue.SimpleQueue[_Publish | None]") -> None:
        self._log = LibraryLog()
        self._publishes = publishes
        self._configuration: Options = {**configuration, "transactional.id": f"de-platform-{uuid4().hex}"}
        self._producer: Producer | None = None
        self._failed_delivery: KafkaError | None = None

    def run(self) -> None:
        is_stopping = False
        while not is_stopping:
            group: list[_Publish] = []
            is_stopping = self._gather(group)
            running = [publish for publish in group if publish.future.set_running_or_notify_cancel()]
            if running:
                self._settle(running)
            elif self._producer is not None:
                self._producer.poll(0)
        self._give_up()

    def _gather(self, group: list[_Publish]) -> bool:
        """Take what waits, and wait a while if nothing does. Says whether that is the end."""
        messages = 0
        with suppress(queue.Empty):
            publish = self._publishes.get(timeout=_IDLE_SECONDS)
            while publish is not None:
                group.append(publish)
                messages += len(publish.messages)
                if len(group) == _MAX_SHARED_PUBLISHES or messages >= _MAX_SHARED_MESSAGES:
                    return False
                publish = self._publishes.get_nowait()
            return True
        return False

    def _settle(self, group: Sequence[_Publish]) -> None:
        """Publish together; if a message is refused, each on its own, so that only its own publish fails."""
        try:
            self._transact([placed for publish in group for placed in publish.messages])
        except InvalidInput as error:
            if len(group) > 1:
                for publish in group:
                    self._settle([publish])
            else:
                group[0].future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - thread boundary: every error belongs to those who wait
            for publish in group:
                publish.future.set_exception(error)
        else:
            for publish in group:
                publish.future.set_result(None)

    def _transact(self, messages: Sequence[Placed]) -> None:
        deadline = time.monotonic() + DELIVERY_SECONDS
        self._failed_delivery = None
        try:
            producer = self._ready_producer()
            producer.begin_transaction()
            for placed in messages:
                _queue(producer, placed, deadline)
            producer.commit_transaction(max(0.0, deadline - time.monotonic()) + _ABORT_SECONDS)
        except KafkaException as exception:
            error = error_of(exception)
            cause = as_platform_error(self._failed_delivery or error)
            self._undo(is_abortable=error.txn_requires_abort() or not (error.fatal() or error.retriable()))
            raise cause from exception
        except Unavailable:
            self._undo(is_abortable=True)
            raise

    def _ready_producer(self) -> Producer:
        """Return a producer without an open transaction: of a former one of its name nothing is open any more."""
        if self._producer is None:
            producer = Producer(
                self._configuration, logger=self._log, error_cb=self._log.note, on_delivery=self._note_delivery
            )
            producer.init_transactions(DELIVERY_SECONDS)
            self._producer = producer
        return self._producer

    def _undo(self, *, is_abortable: bool) -> None:
        """Abort the transaction, or give its producer up if that is not to be had."""
        if self._producer is not None and is_abortable:
            try:
                self._producer.abort_transaction(_ABORT_SECONDS)
            except KafkaException as exception:
                self._log.note(error_of(exception))
            else:
                return
        self._give_up()

    def _give_up(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _note_delivery(self, error: KafkaError | None, _message: object) -> None:
        """Keep the first failure, which is the cause of those that follow."""
        if error is not None and self._failed_delivery is None:
            self._failed_delivery = error


def _queue(producer: Producer, placed: Placed, deadline: float) -> None:
    """Hand one message to the producer, waiting for deliveries while its queue is full."""
    message = placed.message
    while True:
        try:
            producer.produce(
                placed.topic,
                value=message.value,
                key=message.key,
                partition=placed.partition,
                headers=[(name, text.encode()) for name, text in message.headers.items()],
            )
        except BufferError:
            if time.monotonic() >= deadline:
                raise Unavailable(DEPENDENCY, "the queue of messages to be sent stays full") from None
            producer.poll(_FULL_QUEUE_WAIT_SECONDS)
        else:
            return
