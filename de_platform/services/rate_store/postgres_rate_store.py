"""The rate store in PostgreSQL: all of its SQL."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from de_platform.services.database.interface import RelationalDatabase
from de_platform.services.rate_store.interface import CurrencyRate, RateStore

_ROWS_PER_STATEMENT = 20_000

_LOCK = "LOCK TABLE currency_rates IN SHARE ROW EXCLUSIVE MODE"
"""Two loads at once would both find the other's rates missing; readers go on."""

_INSERT = """
INSERT INTO currency_rates (from_currency, to_currency, rate, effective_at, loaded_at)
SELECT new.from_currency, new.to_currency, new.rate, new.effective_at, %(loaded_at)s
FROM (
    SELECT from_currency, to_currency, rate, effective_on::timestamp AT TIME ZONE 'UTC' AS effective_at
    FROM json_to_recordset(%(rates)s::json)
        AS told (from_currency text, to_currency text, rate numeric, effective_on date)
) AS new
LEFT JOIN LATERAL (
    SELECT known.rate FROM currency_rates AS known
    WHERE known.from_currency = new.from_currency AND known.to_currency = new.to_currency
        AND known.effective_at = new.effective_at
    ORDER BY known.loaded_at DESC LIMIT 1
) AS newest ON TRUE
WHERE newest.rate IS DISTINCT FROM new.rate
ON CONFLICT DO NOTHING
"""

_SELECT = """
SELECT from_currency, to_currency, rate, (effective_at AT TIME ZONE 'UTC')::date AS effective_on, loaded_at
FROM currency_rates
WHERE %(loaded_after)s::timestamptz IS NULL OR loaded_at > %(loaded_after)s
ORDER BY loaded_at, from_currency COLLATE "C", to_currency COLLATE "C", effective_at
"""


class PostgresRateStore(RateStore):
    """One table, `currency_rates`; a day is stored as its midnight UTC."""

    def __init__(self, db: RelationalDatabase) -> None:
        self._db = db

    async def add(self, rates: Sequence[CurrencyRate]) -> int:
        added = 0
        async with self._db.transaction() as transaction:
            await transaction.execute(_LOCK)
            for loaded_at, rows in _statements(rates):
                params = {"loaded_at": loaded_at, "rates": msgspec.json.encode(rows).decode()}
                added += await transaction.execute(_INSERT, params)
        return added

    async def loaded_since(self, loaded_after: datetime | None) -> list[CurrencyRate]:
        rows = await self._db.fetch_all(_SELECT, {"loaded_after": loaded_after})
        return [CurrencyRate(**row) for row in rows]


def _statements(rates: Sequence[CurrencyRate]) -> Iterator[tuple[datetime, Sequence[CurrencyRate]]]:
    """Cut rates into what one statement takes: one instant of loading, one rate for a pair and day."""
    last_of_call = {(r.from_currency, r.to_currency, r.effective_on, r.loaded_at): r for r in rates}
    ordered = sorted(last_of_call.values(), key=lambda rate: rate.loaded_at)
    for loaded_at, group in groupby(ordered, key=lambda rate: rate.loaded_at):
        rows = list(group)
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            yield loaded_at, rows[start : start + _ROWS_PER_STATEMENT]
