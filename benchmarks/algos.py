"""The realtime algorithms: the whole step (decode, columns, windows, verdicts), and its parts, on one core.

The work is checked before it is timed: masks and plain verdicts raise the same alerts, and the planted ones are found.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from de_platform.modules.algos.algos_step import AlgosStep
from de_platform.pipeline import topics
from de_platform.pipeline.algorithms import FraudAlgorithm, build_all
from de_platform.pipeline.detectors.velocity import VelocityAlgo
from de_platform.pipeline.event_columns import EventColumns, Mask, decode_lean
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.messages import Batch, Record
from de_platform.pipeline.window_state import TenantWindow
from de_platform.pipeline.windows import WindowEngine
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.noop_metrics import NoopMetrics

BATCH_EVENTS = 5000
EVENTS_A_SECOND = 2000
CLIENTS = 20_000
BURST_EVENTS = 120
TENANT = "acme"
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

_TEMPLATE = (
    '{{"id":"ord-{n:09d}","tenant_id":"acme","status":"new","transact_time":"{at}","symbol":"ACME","side":"buy",'
    '"quantity":100,"price":150.25,"order_type":"limit","currency":"USD","client_id":"{client}",'
    '"message_id":"0123456789abcdef0123456789abcdef.{n}","ingested_at":"{at}","event_type":"order",'
    '"ingestion_method":"rest","submission_id":"sub-1","normalized_at":"{at}",'
    '"primary_key":"acme_order_ord-{n:09d}_2026-03-02","origin":"trade_normalization:0:{n}","order_id":"ord-{n:09d}",'
    '"notional":{value},"notional_usd":{value},"usd_rate":1,"usd_rate_on":"2026-03-02"}}'
)


class _PlainVelocity(VelocityAlgo):
    """The same verdict without its mask."""

    exact_candidates = False

    def candidates(self, columns: EventColumns) -> Mask | None:  # noqa: ARG002
        return None


def run(*, quick: bool) -> dict[str, float]:
    """Return events per CPU-second of the step, of one busy actor, of the columns alone, and of the decoding alone."""
    _check_answers()
    batches = 20 if quick else 100
    rounds = 3 if quick else 7
    many = [_events(number, lambda n: f"client-{n * 7919 % CLIENTS:05d}") for number in range(batches)]
    one = [_events(number, lambda _: "client-busy") for number in range(batches)]
    return {
        "algos_step_events_per_cpu_second": _rate(many, rounds, _step),
        "algos_step_one_busy_actor_events_per_cpu_second": _rate(one, rounds, _step),
        "algos_columns_only_events_per_cpu_second": _rate(many, rounds, _columns_only),
        "algos_lean_decode_events_per_cpu_second": _rate(many, rounds, _decode_only),
    }


def _rate(
    batches: Sequence[Sequence[bytes]], rounds: int, prepare: Callable[[Sequence[Sequence[bytes]]], Callable[[], None]]
) -> float:
    costs: list[float] = []
    for _ in range(rounds):
        work = prepare(batches)
        began = time.process_time()
        work()
        costs.append(time.process_time() - began)
    return sum(map(len, batches)) / statistics.median(costs)


def _step(batches: Sequence[Sequence[bytes]]) -> Callable[[], None]:
    step = AlgosStep(build_all({}), MemoryLogger(), NoopMetrics(), SystemClock())
    state = step.new_state(0)
    prepared = [
        Batch(
            topics.TRADES_ALGOS, 0, [Record(number * BATCH_EVENTS + i, TENANT, raw, {}) for i, raw in enumerate(raws)]
        )
        for number, raws in enumerate(batches)
    ]

    async def process_all() -> None:
        for batch in prepared:
            await step.process(batch, state)
            step.snapshot(state)
            step.snapshot_saved(state)

    return lambda: asyncio.run(process_all())


def _columns_only(batches: Sequence[Sequence[bytes]]) -> Callable[[], None]:
    """Evaluate events that are decoded already."""
    engine = WindowEngine(build_all({}))
    window = TenantWindow(TENANT)
    decoded = [([decode_lean(raw) for raw in raws], raws) for raws in batches]

    def take_all() -> None:
        for leans, raws in decoded:
            engine.take(window, leans, raws)

    return take_all


def _decode_only(batches: Sequence[Sequence[bytes]]) -> Callable[[], None]:
    def decode_all() -> None:
        for raws in batches:
            for raw in raws:
                decode_lean(raw)

    return decode_all


def _events(batch: int, client_of: Callable[[int], str]) -> list[bytes]:
    """A batch of orders at a steady rate; the first events of every tenth batch are a burst of one client."""
    raws: list[bytes] = []
    for number in range(batch * BATCH_EVENTS, (batch + 1) * BATCH_EVENTS):
        is_burst = batch % 10 == 0 and number % BATCH_EVENTS < BURST_EVENTS
        client = f"burst-{batch}" if is_burst else client_of(number)
        value = 1_000_001 if number % BATCH_EVENTS == BATCH_EVENTS - 1 else 15_025
        at = format_instant(START + timedelta(seconds=number / EVENTS_A_SECOND))
        raws.append(_TEMPLATE.format(n=number, at=at, client=client, value=value).encode())
    return raws


def _check_answers() -> None:
    raws = _events(0, lambda n: f"client-{n * 7919 % CLIENTS:05d}")[:1500]
    plain = [a for a in build_all({}) if a.name() != "velocity"]
    by_mask = _alert_ids(build_all({}), raws)
    assert by_mask == _alert_ids([*plain, _PlainVelocity()], raws), "mask and plain verdict differ"
    assert len(by_mask) == 1, "the planted burst was not found"


def _alert_ids(algorithms: Sequence[FraudAlgorithm], raws: Sequence[bytes]) -> set[str]:
    taken = WindowEngine(algorithms).take(TenantWindow(TENANT), [decode_lean(raw) for raw in raws], raws)
    return {found.alert.alert_id for found in taken.found}
