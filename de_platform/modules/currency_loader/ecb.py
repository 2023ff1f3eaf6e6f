"""The European Central Bank's reference rates: how many units of each currency one euro was worth on a day.

One row a business day, `N/A` where a currency did not exist, an empty column at the end of every line. The
history file dates its rows `2026-04-13`, the daily file `13 April 2026` and puts spaces behind its commas.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from de_platform.modules.currency_loader.faults import Faults
from de_platform.pipeline.currency import CurrencyRate
from de_platform.pipeline.errors import InvalidInput

BASE_CURRENCY = "EUR"
ABSENT = frozenset(("N/A", ""))

_RATE = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAILY_DATE = re.compile(r"([0-9]{1,2}) ([A-Z][a-z]+) ([0-9]{4})")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def is_ecb(text: str) -> bool:
    """Say whether this is the bank's table."""
    return text[:5].lower() == "date,"


def parse_ecb(text: str, loaded_at: datetime) -> list[CurrencyRate]:
    """Return a rate EUR → X for every cell that has one. Raises InvalidInput with the faults of all lines."""
    lines = text.splitlines()
    currencies = _header(lines[0])
    faults = Faults()
    rates: list[CurrencyRate] = []
    seen: set[date] = set()
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = _cells(line)
        effective_on = _date(cells[0])
        if effective_on is None:
            faults.add(f"line {number}", f"{cells[0]!r} is not a date")
        elif effective_on in seen:
            faults.add(f"line {number}", f"{effective_on} appears twice")
        elif len(cells) != len(currencies) + 1:
            faults.add(f"line {number}", f"has {len(cells)} cells, the header has {len(currencies) + 1}")
        else:
            seen.add(effective_on)
            rates += _rates(f"line {number}", currencies, cells[1:], effective_on, loaded_at, faults)
    faults.raise_if_any()
    return rates


def _rates(
    place: str,
    currencies: Sequence[str],
    cells: Sequence[str],
    effective_on: date,
    loaded_at: datetime,
    faults: Faults,
) -> list[CurrencyRate]:
    rates: list[CurrencyRate] = []
    for currency, cell in zip(currencies, cells, strict=True):
        if cell in ABSENT:
            continue
        rate = Decimal(cell) if _RATE.fullmatch(cell) else None
        if not rate:
            faults.add(f"{place}.{currency}", f"{cell!r} is not a positive decimal")
            continue
        rates.append(
            CurrencyRate(
                from_currency=BASE_CURRENCY,
                to_currency=currency,
                rate=rate,
                effective_on=effective_on,
                loaded_at=loaded_at,
            )
        )
    return rates


def _header(line: str) -> list[str]:
    currencies = _cells(line)[1:]
    faults = Faults()
    for currency in dict.fromkeys(currencies):
        if not _CURRENCY.fullmatch(currency) or currency == BASE_CURRENCY:
            faults.add("line 1", f"{currency!r} is not a currency code")
        elif currencies.count(currency) > 1:
            faults.add("line 1", f"{currency} appears twice")
    faults.raise_if_any()
    if not currencies:
        raise InvalidInput.single("line 1", "names no currency")
    return currencies


def _cells(line: str) -> list[str]:
    cells = [cell.strip() for cell in line.split(",")]
    return cells[:-1] if cells[-1] == "" else cells


def _date(text: str) -> date | None:
    daily = _DAILY_DATE.fullmatch(text)
    try:
        if daily is not None and daily[2] in _MONTHS:
            return date(int(daily[3]), _MONTHS.index(daily[2]) + 1, int(daily[1]))
        return date.fromisoformat(text)
    except ValueError:
        return None
