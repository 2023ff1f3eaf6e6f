"""Load exchange rates; a corrected rate is added beside the old one, never over it.

Consumes: a file or URL: JSON rows, or the European Central Bank's CSV or ZIP.
Produces: rows of the rate store.
Effects in order: 1. everything is read and checked, 2. all new rates are stored in one transaction.
On crash: nothing or everything was stored; running it again adds only what is not there.
"""

import codecs
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from de_platform.modules.base import Module, ModuleSettings
from de_platform.modules.currency_loader import source
from de_platform.modules.currency_loader.ecb import is_ecb, parse_ecb
from de_platform.modules.currency_loader.rows import parse_rows
from de_platform.pipeline.currency import CurrencyRate
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.clock.interface import Clock
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.rate_store.interface import RateStore


class CurrencyLoaderSettings(ModuleSettings, frozen=True, kw_only=True):
    """Exactly one of the two is not empty."""

    rates_file: str
    rates_url: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, one JSON line on stdout. Days are `YYYY-MM-DD`, empty when there was no rate."""

    rates: int
    new: int
    first_on: str
    last_on: str


class CurrencyLoaderModule(Module):
    """Reads, checks, stores."""

    def __init__(self, settings: CurrencyLoaderSettings, rates: RateStore, clock: Clock, log: LoggingInterface) -> None:
        self._settings = settings
        self._rates = rates
        self._clock = clock
        self.log = log
        self.out: TextIO = sys.stdout

    async def validate(self) -> None:
        if bool(self._settings.rates_file) == bool(self._settings.rates_url):
            raise InvalidInput.single("--rates-file", "give exactly one of rates-file and rates-url")
        if self._settings.rates_url:
            source.check_url(self._settings.rates_url)

    async def execute(self) -> int:
        if self._settings.rates_file:
            data = source.read_file(Path(self._settings.rates_file))
        else:
            data = await source.fetch(self._settings.rates_url)
        rates = self._parse(data)
        new = await self._rates.add(rates)
        days = sorted({rate.effective_on for rate in rates})
        summary = Summary(
            rates=len(rates),
            new=new,
            first_on=days[0].isoformat() if days else "",
            last_on=days[-1].isoformat() if days else "",
        )
        self.log.info("rates loaded", **msgspec.structs.asdict(summary))
        self.out.write(msgspec.json.encode(summary).decode() + "\n")
        return 0

    def _parse(self, data: bytes) -> list[CurrencyRate]:
        loaded_at = self._clock.now()
        data = data.removeprefix(codecs.BOM_UTF8).lstrip()
        if data.startswith(b"["):
            return parse_rows(data, loaded_at)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput.single("", "the rates are not UTF-8 text") from error
        if is_ecb(text):
            return parse_ecb(text, loaded_at)
        raise InvalidInput.single("", "the rates are neither a JSON array nor the European Central Bank's table")


module_class = CurrencyLoaderModule
