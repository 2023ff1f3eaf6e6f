"""What the normaliser adds to an event, as JSON members to splice into the client's own bytes."""

from decimal import Decimal

import msgspec
from msgspec import UNSET, Raw

from de_platform.pipeline.amounts import EXACT, MAX_USD_INTEGER_DIGITS, plain, to_usd
from de_platform.pipeline.currency import RateTable
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.shapes import StampedEvent, StampedOrder, StampedTransaction


def value_members(event: StampedEvent, dated_on: str, rates: RateTable) -> str | FieldError:
    """Return the members that say what an event is worth, each after a comma, or why it cannot be said.

    `dated_on` is the UTC day of its transact_time. The rate is the one that was known when the event was
    taken in, or replayed. A market order without a price is worth nothing yet: no members.
    """
    if isinstance(event, StampedTransaction):
        name, members, amount = "amount_usd", "", _decimal(event.amount)
    elif event.price is UNSET or (price := str(event.price, "ascii")) == "null":
        return ""
    else:
        amount = EXACT.multiply(_decimal(event.quantity), Decimal(price))
        name, members = "notional_usd", f',"notional":{plain(amount)}'
    known_at = event.ingested_at if event.replayed_at is UNSET else event.replayed_at
    rate = rates.to_usd(event.currency, dated_on, known_at)
    if isinstance(rate, FieldError):
        return rate
    usd = to_usd(amount, rate.rate)
    if usd is None:
        return FieldError(name, f"has more than {MAX_USD_INTEGER_DIGITS} digits before the decimal point")
    return f'{members},"{name}":{plain(usd)},"usd_rate":{rate.text},"usd_rate_on":"{rate.rate_on}"'


def identity_members(event: StampedEvent, primary_key: str, *, as_they_are: bool) -> str:
    """Return the members that name an event: its primary key, and for an order that lacks one its order id.

    `as_they_are` says that the event's text has no escapes, so that its strings need none here.
    """
    key = primary_key if as_they_are else _escaped(primary_key)
    if not isinstance(event, StampedOrder) or event.order_id is not UNSET:
        return f',"primary_key":"{key}"'
    order_id = event.id if as_they_are else _escaped(event.id)
    return f',"primary_key":"{key}","order_id":"{order_id}"'


def splice(raw: bytes, members: str) -> bytes:
    """Append members, each after a comma, to a JSON object that has some."""
    end = -1 if raw.endswith(b"}") else raw.rindex(b"}")
    return b"%b%b}" % (raw[:end], members.encode())


def _decimal(number: Raw) -> Decimal:
    return Decimal(str(number, "ascii"))


def _escaped(text: str) -> str:
    return msgspec.json.encode(text)[1:-1].decode()
