"""Rates as a JSON array of `{from_currency, to_currency, rate, effective_at}`; rates are numbers or strings, exact."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from de_platform.modules.currency_loader.faults import Faults
from de_platform.pipeline.currency import CurrencyRate
from de_platform.pipeline.errors import InvalidInput

_RATE = re.compile(rb'"?([0-9]{1,18}(?:\.[0-9]{1,18})?)"?')
_CURRENCY = re.compile(r"[A-Z]{3}")
_FIELDS = ("from_currency", "to_currency", "rate", "effective_at")

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def parse_rows(data: bytes, loaded_at: datetime) -> list[CurrencyRate]:
    """Return the rates in file order; the same rate twice is one. Raises InvalidInput with the faults of all rows."""
    try:
        rows = _decode_rows(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput.single("", f"not a JSON array of rates: {error}") from error
    faults = Faults()
    rates: dict[tuple[str, str, date], CurrencyRate] = {}
    for index, raw in enumerate(rows):
        rate = _row(f"[{index}]", bytes(raw), loaded_at, faults)
        if rate is None:
            continue
        key = (rate.from_currency, rate.to_currency, rate.effective_on)
        if rates.setdefault(key, rate).rate != rate.rate:
            faults.add(f"[{index}].rate", f"{rate.rate} contradicts an earlier row, which says {rates[key].rate}")
    faults.raise_if_any()
    return list(rates.values())


def _row(place: str, raw: bytes, loaded_at: datetime, faults: Faults) -> CurrencyRate | None:
    try:
        fields = _decode_row(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        faults.add(place, "must be an object")
        return None
    for name in _FIELDS:
        if name not in fields:
            faults.add(f"{place}.{name}", "is missing")
    from_currency = _currency(f"{place}.from_currency", fields.get("from_currency"), faults)
    to_currency = _currency(f"{place}.to_currency", fields.get("to_currency"), faults)
    rate = _rate(f"{place}.rate", fields.get("rate"), faults)
    effective_on = _day(f"{place}.effective_at", fields.get("effective_at"), faults)
    if from_currency is None or to_currency is None or rate is None or effective_on is None:
        return None
    if from_currency == to_currency:
        faults.add(f"{place}.to_currency", f"is {to_currency} as well")
        return None
    return CurrencyRate(
        from_currency=from_currency,
        to_currency=to_currency,
        rate=rate,
        effective_on=effective_on,
        loaded_at=loaded_at,
    )


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return _decode_text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _currency(place: str, raw: msgspec.Raw | None, faults: Faults) -> str | None:
    if raw is None:
        return None
    text = _text(raw)
    if text is None or not _CURRENCY.fullmatch(text):
        faults.add(place, "must be an ISO 4217 code of three capital letters")
        return None
    return text


def _rate(place: str, raw: msgspec.Raw | None, faults: Faults) -> Decimal | None:
    if raw is None:
        return None
    matched = _RATE.fullmatch(bytes(raw).strip())
    rate = Decimal(matched[1].decode()) if matched else None
    if not rate:
        faults.add(place, "must be a decimal > 0 of at most 18 + 18 digits, without exponent")
        return None
    return rate


def _day(place: str, raw: msgspec.Raw | None, faults: Faults) -> date | None:
    """Return the UTC day of an RFC 3339 instant, or a plain date."""
    if raw is None:
        return None
    text = _text(raw) or ""
    try:
        if len(text) == len("YYYY-MM-DD"):
            return date.fromisoformat(text)
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC).date()
    except (ValueError, OverflowError):
        faults.add(place, "must be a date or an RFC 3339 instant")
        return None
    faults.add(place, "must have an offset or Z")
    return None
