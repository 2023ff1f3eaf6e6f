"""Exchange rates with their history."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from de_platform.pipeline.currency import CurrencyRate

__all__ = ["CurrencyRate", "RateStore"]


class RateStore(ABC):
    """Rates are only ever added; a corrected rate is a newer row for the same day. Raises Unavailable."""

    @abstractmethod
    async def add(self, rates: Sequence[CurrencyRate]) -> int:
        """Store rates in one transaction; one that equals the newest known of its pair and day adds nothing.

        Of several for one pair, day and `loaded_at` the last of a call counts, and none replaces a stored one.
        Returns how many were new.
        """

    @abstractmethod
    async def loaded_since(self, loaded_after: datetime | None) -> list[CurrencyRate]:
        """Return rates loaded after that instant (all of them for None), ordered by loaded_at."""
