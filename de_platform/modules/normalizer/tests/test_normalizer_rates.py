"""Events are valued by the rates that were known when they were received."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from de_platform.modules.normalizer.tests.normalizer_bench import Bench, bodies
from de_platform.pipeline import topics
from de_platform.pipeline.error_records import ErrorRecord
from de_platform.pipeline.messages import Record
from de_platform.pipeline.replay import replay
from de_platform.pipeline.tests.sample_events import NOW, order, stamped
from de_platform.services.rate_store.interface import CurrencyRate
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore


async def test_an_event_without_a_rate_is_an_error_until_it_is_replayed(bench: Bench) -> None:
    (message,) = await bench.take(stamped(order(currency="EUR")))
    error = msgspec.json.decode(message.value, type=ErrorRecord)
    assert [fault.field for fault in error.errors] == ["currency"]
    bench.clock.advance(60)
    await bench.load_rate()
    bench.clock.advance(60)
    again = replay(error, replayed_at=bench.clock.now())
    stored, _ = await bench.take(Record(1, again.key, again.value, again.headers))
    assert json.loads(stored.value)["usd_rate"] == 1.15


async def test_a_rate_counts_from_when_it_was_loaded(bench: Bench) -> None:
    await bench.load_rate(rate="1.15")
    bench.clock.advance(60)
    await bench.load_rate(rate="1.25")
    bench.clock.advance(60)
    early = stamped(order(currency="EUR"), received_at=NOW + timedelta(seconds=59))
    late = stamped(order(currency="EUR", id="ord-2"), offset=1, received_at=NOW + timedelta(seconds=60))
    messages = await bench.take(early, late)
    assert [body["usd_rate"] for body in bodies(messages, topics.ORDERS_PERSISTENCE)] == [1.15, 1.25]


class CountingRates(MemoryRateStore):
    """Remembers how many rates it handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_out = 0

    async def loaded_since(self, loaded_after: datetime | None) -> list[CurrencyRate]:
        found = await super().loaded_since(loaded_after)
        self.handed_out += len(found)
        return found


async def test_a_large_load_is_not_read_again_for_every_batch() -> None:
    bench = Bench()
    bench.rates = CountingRates()
    bench.step = bench.new_step()
    await bench.load_rate()
    for number in range(20):
        bench.clock.advance(1)
        await bench.take(
            stamped(order(currency="EUR", id=f"ord-{number}"), offset=number, received_at=bench.clock.now())
        )
    assert bench.rates.handed_out == 1


async def test_a_load_that_became_visible_late_is_found_within_the_minute(bench: Bench) -> None:
    await bench.load_rate()
    await bench.take(stamped(order(currency="EUR")))
    bench.clock.advance(40)
    await bench.rates.add(
        [
            CurrencyRate(
                from_currency="GBP",
                to_currency="USD",
                rate=Decimal("1.3"),
                effective_on=date(2026, 11, 20),
                loaded_at=bench.clock.now() - timedelta(seconds=45),
            )
        ]
    )
    late = stamped(order(currency="GBP", id="ord-2"), offset=1, received_at=bench.clock.now())
    [body] = bodies(await bench.take(late), topics.ORDERS_PERSISTENCE)
    assert body["usd_rate"] == 1.3


async def test_a_rate_loaded_while_running_is_learnt(bench: Bench) -> None:
    await bench.load_rate(rate="1.15")
    await bench.take(stamped(order(currency="EUR")))
    bench.clock.advance(60)
    await bench.load_rate(rate="1.25")
    record = stamped(order(currency="EUR", id="ord-2"), offset=1, received_at=bench.clock.now())
    (stored, _) = await bench.take(record)
    assert json.loads(stored.value)["usd_rate"] == 1.25
