"""The normaliser's whole step, in batches of 5,000 realistic events, against msgspec's bare decode of the same bytes.

The step decodes, deduplicates, converts, enriches, routes and builds the messages for the store and the algorithms. It
is measured twice: with the records as starters mark them, whose check is believed, and without the mark, when every
rule is applied again. The bare decode reads the same bytes into a struct of all their fields and does nothing else.
Rounds alternate and medians are compared, in CPU-seconds, so that what else the machine does cancels out.
"""

import asyncio
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np

from de_platform.modules.normalizer.normalizer_step import NormalizerState, NormalizerStep
from de_platform.pipeline.currency import CurrencyRate
from de_platform.pipeline.dedup import Deduplicator
from de_platform.pipeline.events import EventType, Header, IngestionMethod
from de_platform.pipeline.generation import Generation
from de_platform.pipeline.intake import Submission, take_in
from de_platform.pipeline.messages import Batch, Record
from de_platform.pipeline.shapes import StampedOrder
from de_platform.pipeline.topics import TRADE_NORMALIZATION
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore

BATCH_EVENTS = 5000
SUBMISSION_EVENTS = 100
KEYS_HELD = 10_000_000
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


class Figures(NamedTuple):
    """Events per CPU-second, and the memory of the dedup state."""

    bare_decode: float
    step: float
    unmarked: float
    held_bytes: float


def run(*, quick: bool) -> dict[str, float]:
    """Return events per CPU-second of decode and step, their ratio, and the same with many keys held."""
    figures = asyncio.run(_measure(rounds=7 if quick else 21, keys_held=0))
    result = {
        "bare_decode_events_per_cpu_second": figures.bare_decode,
        "normalizer_events_per_cpu_second": figures.step,
        "normalizer_fraction_of_bare_decode": figures.step / figures.bare_decode,
        "normalizer_unmarked_events_per_cpu_second": figures.unmarked,
    }
    if not quick:
        figures = asyncio.run(_measure(rounds=21, keys_held=KEYS_HELD))
        result |= {
            "normalizer_10m_keys_events_per_cpu_second": figures.step,
            "normalizer_10m_keys_fraction_of_bare_decode": figures.step / figures.bare_decode,
            "dedup_bytes_per_key": figures.held_bytes / KEYS_HELD,
        }
    return result


async def _measure(*, rounds: int, keys_held: int) -> Figures:
    batches = [_batch(number) for number in range(rounds)]
    step, state = await _step()
    other_step, other_state = await _step()
    held_bytes = _fill(state.dedup, keys_held)
    decode = msgspec.json.Decoder(StampedOrder).decode
    bare: list[float] = []
    marked: list[float] = []
    unmarked: list[float] = []
    await _check(step, batches[0])
    gc.collect()
    gc.freeze()
    for batch in batches:
        bare.append(_seconds_of_decode(decode, batch))
        marked.append(await _seconds(step, state, batch))
        unmarked.append(await _seconds(other_step, other_state, _without_marks(batch)))
    return Figures(*map(_rate_of, (bare, marked, unmarked)), held_bytes=held_bytes)


def _rate_of(seconds: list[float]) -> float:
    return BATCH_EVENTS / statistics.median(seconds)


def _seconds_of_decode(decode: Callable[[bytes], StampedOrder], batch: Batch) -> float:
    values = [record.value for record in batch.records]
    started = time.process_time()
    decoded = [decode(value) for value in values]
    elapsed = time.process_time() - started
    del decoded
    return elapsed


async def _seconds(step: NormalizerStep, state: NormalizerState, batch: Batch) -> float:
    started = time.process_time()
    outputs = await step.process(batch, state)
    elapsed = time.process_time() - started
    del outputs
    return elapsed


def _without_marks(batch: Batch) -> Batch:
    records = [
        msgspec.structs.replace(record, headers={**record.headers, Header.CHECKED: ""}) for record in batch.records
    ]
    return msgspec.structs.replace(batch, records=records)


async def _step() -> tuple[NormalizerStep, NormalizerState]:
    rates = MemoryRateStore()
    await rates.add([_rate("USD", "1.15"), _rate("GBP", "0.86"), _rate("JPY", "178.4")])
    clock = MemoryClock(NOW)
    step = NormalizerStep(
        MemoryEventStore(),
        rates,
        MemoryLogger(),
        MemoryMetrics(),
        clock,
        staleness_limit=timedelta(days=7),
        new_salt=lambda: 1,
    )
    return step, step.new_state(0)


def _rate(currency: str, rate: str) -> CurrencyRate:
    return CurrencyRate(
        from_currency="EUR",
        to_currency=currency,
        rate=Decimal(rate),
        effective_on=date(2026, 11, 19),
        loaded_at=NOW - timedelta(hours=20),
    )


async def _check(step: NormalizerStep, batch: Batch) -> None:
    """See that a batch becomes what it should, and nothing on a second try."""
    state = step.new_state(0)
    outputs = await step.process(batch, state)
    assert len(outputs) == 2 * BATCH_EVENTS
    assert not await step.process(batch, state)
    for record, output in zip(batch.records, outputs[:BATCH_EVENTS], strict=True):
        sent, enriched = msgspec.json.decode(record.value), msgspec.json.decode(output.value)
        assert enriched.items() >= sent.items()
        assert abs(enriched["notional"] - sent["quantity"] * sent["price"]) < 1e-6 * enriched["notional"]


def _fill(dedup: Deduplicator, keys: int) -> float:
    """Let the state hold keys of today that no event of the benchmark has; returns their bytes."""
    generation = dedup.generations.setdefault(NOW.date().isoformat(), Generation(NOW.date().isoformat()))
    random_keys = np.random.default_rng(1)
    for first in range(0, keys, BATCH_EVENTS):
        stems = [f"{first + i:032x}" for i in range(0, BATCH_EVENTS, SUBMISSION_EVENTS)]
        message_ids = [f"{stem}.{position}" for stem in stems for position in range(SUBMISSION_EVENTS)]
        generation.add(random_keys.integers(0, 2**64, (BATCH_EVENTS, 2), dtype=np.uint64), message_ids)
    return generation.bytes_held if keys else 0


def _batch(number: int) -> Batch:
    """Return orders of four tenants as their starter stamped them, in requests of a hundred."""
    chance = random.Random(number)  # noqa: S311 - test data
    records: list[Record] = []
    for request in range(BATCH_EVENTS // SUBMISSION_EVENTS):
        tenant_id = f"tenant-{chance.randrange(4)}"
        submission = Submission(
            tenant_id=tenant_id,
            event_type=EventType.ORDER,
            method=IngestionMethod.REST,
            submission_id=f"{chance.getrandbits(128):032x}",
            received_at=NOW - timedelta(milliseconds=(1000 - number) * 500 - request * 10),
        )
        events = [_order(chance, tenant_id, submission.received_at) for _ in range(SUBMISSION_EVENTS)]
        for message in take_in(submission, events, positions=range(SUBMISSION_EVENTS)).messages:
            offset = number * BATCH_EVENTS + len(records)
            records.append(Record(offset, message.key, message.value, message.headers))
    return Batch(TRADE_NORMALIZATION, 0, records)


def _order(chance: random.Random, tenant_id: str, received_at: datetime) -> bytes:
    transact_time = received_at - timedelta(microseconds=chance.randrange(2_000_000))
    return msgspec.json.encode(
        {
            "id": f"ORD-{chance.getrandbits(64):016x}",
            "tenant_id": tenant_id,
            "status": chance.choice(["new", "new", "filled", "cancelled"]),
            "transact_time": transact_time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "symbol": chance.choice(["AAPL", "MSFT", "VOD.L", "7203.T"]),
            "side": chance.choice(["buy", "sell"]),
            "quantity": chance.randrange(1, 10_000),
            "price": round(chance.uniform(1, 900), 2),
            "order_type": "limit",
            "currency": chance.choice(["USD", "USD", "EUR", "GBP", "JPY"]),
            "client_id": f"trader-{chance.randrange(1000):04d}",
        }
    )


def _print(figures: dict[str, float]) -> None:
    for name, figure in figures.items():
        print(f"{name:48} {figure:>14,.2f}")


if __name__ == "__main__":
    _print(run(quick="--quick" in sys.argv[1:]))
