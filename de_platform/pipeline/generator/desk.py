"""One tenant at work: makes its everyday flows, each a handful of events tied together."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from de_platform.pipeline.events import EventType
from de_platform.pipeline.generator.demo_events import DemoEvent, FieldValue
from de_platform.pipeline.generator.market import DemoRates, PriceWalk, cents
from de_platform.pipeline.generator.tenants import DemoTenant, Instrument, TenantKind

MAX_EVERYDAY_USD = 250_000.0
"""No everyday event is worth more, so that only planted ones are large."""

_MARKET_ORDER_SHARE = 0.06
_CANCELLED_SHARE = 0.22
_PAYMENT_TYPES = ("wire", "ach", "internal", "card")


class Desk:
    """Makes events of one tenant; ids count up behind a prefix, so that two desks never share one."""

    def __init__(self, tenant: DemoTenant, random: Random, rates: DemoRates, id_prefix: str) -> None:
        self.tenant = tenant
        self.random = random
        self.rates = rates
        self.prices = PriceWalk(random, tenant.instruments)
        self._id_prefix = id_prefix
        self._serial = 0
        self._accounts = {client: _accounts(client) for client in tenant.clients}

    def flow(self, instant: datetime) -> Sequence[DemoEvent]:
        """Return one everyday flow that begins at an instant, in time order."""
        if self.tenant.kind is TenantKind.PAYMENTS:
            return [self._payment(instant)]
        return self._order_lifecycle(instant)

    def next_id(self, kind: str) -> str:
        """Return an id that was not used before."""
        self._serial += 1
        return f"{self._id_prefix}{kind}{self._serial:06d}"

    def order(
        self, instant: datetime, client: str, instrument: Instrument, *, usd: float, **overrides: FieldValue
    ) -> DemoEvent:
        """Return a new limit order worth about that many dollars."""
        price = self.prices.at(instrument.symbol, instant)
        fields: dict[str, FieldValue] = {
            "id": self.next_id("O"),
            "status": "new",
            "symbol": instrument.symbol,
            "side": self.random.choice(("buy", "sell")),
            "quantity": self._quantity(usd, price, instrument.currency, instant.date()),
            "price": price,
            "order_type": "limit",
            "currency": instrument.currency,
            "client_id": client,
        }
        return self._event(EventType.ORDER, instant, {**fields, **overrides})

    def payment(
        self, instant: datetime, client: str, *, usd: float, currency: str, **overrides: FieldValue
    ) -> DemoEvent:
        """Return a payment worth about that many dollars."""
        amount = cents(usd / float(self.rates.usd_per(currency, instant.date())))
        account = self.random.choice(self._accounts.get(client) or _accounts(client))
        fields: dict[str, FieldValue] = {
            "id": self.next_id("T"),
            "status": "completed",
            "account_id": account,
            "counterparty_id": self._counterparty(),
            "amount": amount,
            "currency": currency,
            "transaction_type": self.random.choices(_PAYMENT_TYPES, (5, 4, 2, 6))[0],
            "client_id": client,
        }
        return self._event(EventType.TRANSACTION, instant, {**fields, **overrides})

    def everyday_usd(self, median: float) -> float:
        """Draw a believable size: most are small, a few are not."""
        return min(self.random.lognormvariate(0, 1.1) * median, MAX_EVERYDAY_USD)

    def _payment(self, instant: datetime) -> DemoEvent:
        currency = self.random.choices(list(self.tenant.currencies), list(self.tenant.currencies.values()))[0]
        client = self.random.choice(self.tenant.clients)
        return self.payment(instant, client, usd=self.everyday_usd(420.0), currency=currency)

    def _order_lifecycle(self, instant: datetime) -> Sequence[DemoEvent]:
        """An order, then its fills with their executions, or its cancellation."""
        instrument = self.random.choice(self.tenant.instruments)
        client = self.random.choice(self.tenant.clients)
        new = self.order(instant, client, instrument, usd=self.everyday_usd(9_000.0))
        order_price = new.fields["price"]
        assert isinstance(order_price, Decimal)
        if self.random.random() < _MARKET_ORDER_SHARE:
            fields = {name: value for name, value in new.fields.items() if name != "price"}
            new = self._event(EventType.ORDER, instant, {**fields, "order_type": "market"})
        at = instant + timedelta(seconds=self.random.expovariate(1 / 20.0) + 0.05)
        if self.random.random() < _CANCELLED_SHARE:
            return [new, self._status(new, at, "cancelled")]
        return [new, *self._fills(new, order_price, at)]

    def _fills(self, order: DemoEvent, price: Decimal, at: datetime) -> Sequence[DemoEvent]:
        quantity = order.fields["quantity"]
        assert isinstance(quantity, int)
        parts = self._split(quantity)
        events: list[DemoEvent] = []
        for number, part in enumerate(parts, start=1):
            status = "filled" if number == len(parts) else "partially_filled"
            events.append(self._execution(order, at, status, part, price))
            events.append(self._status(order, at + timedelta(milliseconds=2), status))
            at += timedelta(seconds=self.random.expovariate(1 / 8.0) + 0.05)
        return events

    def _execution(self, order: DemoEvent, at: datetime, status: str, quantity: int, price: Decimal) -> DemoEvent:
        slippage = 1 + self.random.gauss(0, 0.0004)
        fields: dict[str, FieldValue] = {
            "id": self.next_id("E"),
            "status": status,
            "order_id": order.id,
            "symbol": order.fields["symbol"],
            "side": order.fields["side"],
            "quantity": quantity,
            "price": cents(float(price) * slippage),
            "execution_venue": self.random.choice(self.tenant.venues),
            "currency": order.fields["currency"],
            "client_id": order.fields["client_id"],
        }
        return self._event(EventType.EXECUTION, at, fields)

    def _status(self, order: DemoEvent, at: datetime, status: str) -> DemoEvent:
        fields = {**order.fields, "id": self.next_id("O"), "order_id": order.id, "status": status}
        return self._event(EventType.ORDER, at, fields)

    def _split(self, quantity: int) -> list[int]:
        pieces = min(self.random.choices((1, 2, 3), (6, 3, 1))[0], quantity)
        each = quantity // pieces
        return [each] * (pieces - 1) + [quantity - each * (pieces - 1)]

    def _quantity(self, usd: float, price: Decimal, currency: str, day: date) -> int:
        usd_price = price * self.rates.usd_per(currency, day)
        return max(1, int((Decimal(usd) / usd_price).to_integral_value(ROUND_HALF_UP)))

    def _counterparty(self) -> str:
        return f"cp-{self.random.randint(1, 700):04d}"

    def _event(self, event_type: EventType, instant: datetime, fields: dict[str, FieldValue]) -> DemoEvent:
        return DemoEvent(tenant_id=self.tenant.tenant_id, event_type=event_type, transact_time=instant, fields=fields)


def _accounts(client: str) -> tuple[str, ...]:
    return (f"{client}-main", f"{client}-save")
