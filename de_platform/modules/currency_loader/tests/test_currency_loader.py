"""Currency loader: both formats, every fault, the real file of the European Central Bank."""

import csv
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from de_platform.modules.currency_loader import source
from de_platform.modules.currency_loader.ecb import parse_ecb
from de_platform.modules.currency_loader.faults import MAX_NAMED_FAULTS
from de_platform.modules.currency_loader.main import CurrencyLoaderModule, CurrencyLoaderSettings
from de_platform.modules.currency_loader.rows import parse_rows
from de_platform.pipeline.currency import RateTable, UsdRate
from de_platform.pipeline.errors import FieldError, InvalidInput, Unavailable
from de_platform.pipeline.instants import format_instant
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.rate_store.interface import RateStore
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore

NOW = datetime(2026, 4, 14, tzinfo=UTC)
DATA = Path(os.environ.get("DE_PLATFORM_TEST_DATA", Path(__file__).parents[5] / "shared" / "data"))
HISTORY = DATA / "eurofxref-hist.zip"
needs_history = pytest.mark.skipif(not HISTORY.exists(), reason=f"no {HISTORY.name} in DE_PLATFORM_TEST_DATA")


def loader(store: RateStore, *, rates_file: str = "", rates_url: str = "") -> CurrencyLoaderModule:
    settings = CurrencyLoaderSettings(rates_file=rates_file, rates_url=rates_url)
    module = CurrencyLoaderModule(settings, store, MemoryClock(NOW), MemoryLogger())
    module.out = io.StringIO()
    return module


def row(**changes: object) -> dict[str, object]:
    return {"from_currency": "EUR", "to_currency": "USD", "rate": 1.5, "effective_at": "2026-01-02", **changes}


def rows(*given: object) -> bytes:
    return json.dumps(given).encode()


def places(refused: pytest.ExceptionInfo[InvalidInput]) -> list[str]:
    return [error.field for error in refused.value.errors]


@pytest.mark.parametrize("text", ['"0.100000000000000001"', "0.100000000000000001", "123456789012345678.5"])
def test_rate_is_exact_as_number_or_string(text) -> None:
    data = rows(row(rate=0)).replace(b'"rate": 0', b'"rate": ' + text.encode())
    (rate,) = parse_rows(data, NOW)
    assert rate.rate == Decimal(text.strip('"'))


@pytest.mark.parametrize(
    "rate", [0, -1, True, None, "NaN", "Infinity", "1e3", "1_0", " 1", "", "0.0", "1" * 19, "0." + "1" * 19, [1], "١"]
)
def test_rate_that_is_no_positive_decimal_is_refused(rate) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_rows(rows(row(rate=rate)), NOW)
    assert places(refused) == ["[0].rate"]


@pytest.mark.parametrize("number", [b"1e3", b"1E+1000000", b"-1"])
def test_rate_in_other_notation_is_refused(number) -> None:
    with pytest.raises(InvalidInput):
        parse_rows(rows(row(rate=7)).replace(b"7", number), NOW)


@pytest.mark.parametrize(
    ("effective_at", "expected"),
    [
        ("2026-01-02", date(2026, 1, 2)),
        ("2026-01-02T00:30:00+01:00", date(2026, 1, 1)),
        ("2026-01-02T23:00:00Z", date(2026, 1, 2)),
    ],
)
def test_rate_holds_from_its_utc_day(effective_at, expected) -> None:
    assert parse_rows(rows(row(effective_at=effective_at)), NOW)[0].effective_on == expected


@pytest.mark.parametrize(
    "effective_at", ["2026-01-02T00:00:00", "soon", 1767312000, "", "2026-02-30", "0001-01-01T00:00:00+14:00"]
)
def test_time_without_zone_or_sense_is_refused(effective_at) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_rows(rows(row(effective_at=effective_at)), NOW)
    assert places(refused) == ["[0].effective_at"]


def test_every_fault_of_every_row_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_rows(rows(row(), {"rate": "x"}, 5, row(to_currency="eur"), row(from_currency="USD")), NOW)
    assert places(refused) == [
        "[1].from_currency", "[1].to_currency", "[1].effective_at", "[1].rate",
        "[2]",
        "[3].to_currency",
        "[4].to_currency",
    ]  # fmt: skip


def test_contradicting_rows_are_refused_and_equal_ones_are_one() -> None:
    assert len(parse_rows(rows(row(), row(rate="1.50")), NOW)) == 1
    with pytest.raises(InvalidInput, match="contradicts"):
        parse_rows(rows(row(), row(rate=2)), NOW)


def test_flood_of_faults_is_counted() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_rows(rows(*[0] * (MAX_NAMED_FAULTS + 7)), NOW)
    assert refused.value.errors[-1].message == "and 7 more"


@pytest.mark.parametrize("data", [b"[", b"[" * 100_000, b"[1] x", b"[\xff]"])
def test_json_that_is_none_is_refused(data) -> None:
    with pytest.raises(InvalidInput):
        parse_rows(data, NOW)


def test_daily_file_of_the_bank_is_read() -> None:
    rates = parse_ecb("Date, USD, JPY, \n13 April 2026, 1.1684, N/A, \n", NOW)
    assert [(r.from_currency, r.to_currency, r.rate, r.effective_on) for r in rates] == [
        ("EUR", "USD", Decimal("1.1684"), date(2026, 4, 13))
    ]


def test_every_fault_of_the_banks_table_is_named() -> None:
    text = "Date,USD,JPY,\n2026-01-02,1,x,\n2026-13-01,1,1,\n2026-01-02,1,1,\n2026-01-03,1,\n2026-01-04,0,-1,\n"
    with pytest.raises(InvalidInput) as refused:
        parse_ecb(text, NOW)
    assert places(refused) == ["line 2.JPY", "line 3", "line 4", "line 5", "line 6.USD", "line 6.JPY"]


@pytest.mark.parametrize("header", ["Date", "Date,USD,USD", "Date,usd", "Date,EUR", "Date,USD,,JPY"])
def test_header_of_the_bank_is_checked(header) -> None:
    with pytest.raises(InvalidInput):
        parse_ecb(header + "\n", NOW)


def history_table() -> list[dict[str, str]]:
    with zipfile.ZipFile(HISTORY) as archive:
        return list(csv.DictReader(io.StringIO(archive.read("eurofxref-hist.csv").decode())))


@needs_history
async def test_real_history_loads_cell_for_cell_and_again_adds_nothing() -> None:
    store = MemoryRateStore()
    module = loader(store, rates_file=str(HISTORY))
    assert await module.run() == 0
    summary = json.loads(module.out.getvalue())
    expected = {
        (currency, date.fromisoformat(row["Date"]), Decimal(cell))
        for row in history_table()
        for currency, cell in row.items()
        if currency not in {"Date", ""} and cell != "N/A"
    }
    rates = await store.loaded_since(None)
    assert {(r.to_currency, r.effective_on, r.rate) for r in rates} == expected
    assert (summary["new"], summary["first_on"], summary["last_on"]) == (len(expected), "1999-01-04", "2026-04-13")
    assert not any(r.effective_on.weekday() >= 5 for r in rates)
    again = loader(store, rates_file=str(HISTORY))
    await again.run()
    assert json.loads(again.out.getvalue())["new"] == 0


@pytest.fixture(scope="module")
def table() -> RateTable:
    return RateTable(parse_ecb(source.read_file(HISTORY).decode(), NOW))


@needs_history
def test_conversions_as_of_a_date_match_the_real_file(table) -> None:
    rows = {row["Date"]: row for row in history_table()}
    edition = table.edition(format_instant(NOW))
    for on in ("1999-01-04", "2008-12-31", "2024-02-29", "2026-04-13"):
        per_euro = {currency: cell for currency, cell in rows[on].items() if currency not in {"Date", ""}}
        euro = table.to_usd("EUR", on, edition)
        assert isinstance(euro, UsdRate)
        assert euro.rate == Decimal(per_euro["USD"])
        for currency, cell in per_euro.items():
            rate = table.to_usd(currency, on, edition)
            if cell == "N/A":
                assert isinstance(rate, FieldError)
            elif currency != "USD":
                assert isinstance(rate, UsdRate)
                assert abs(rate.rate - Decimal(per_euro["USD"]) / Decimal(cell)) < Decimal("1e-17")
                assert rate.rate_on == on


@needs_history
def test_weekend_takes_the_rate_of_the_friday_before(table) -> None:
    edition = table.edition(format_instant(NOW))
    sunday = table.to_usd("GBP", "2026-04-12", edition)
    assert sunday == table.to_usd("GBP", "2026-04-10", edition)
    assert isinstance(sunday, UsdRate)
    assert sunday.rate_on == "2026-04-10"


@pytest.mark.parametrize("given", [{}, {"rates_file": "a", "rates_url": "http://b/"}])
async def test_exactly_one_source_is_asked_for(given) -> None:
    with pytest.raises(InvalidInput):
        await loader(MemoryRateStore(), **given).run()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://h/x", "http:///x", "data:,1", "rates.json"])
async def test_only_http_is_fetched(url) -> None:
    with pytest.raises(InvalidInput):
        await loader(MemoryRateStore(), rates_url=url).run()


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"PK\x03\x04 broken", b"{}"])
async def test_file_that_holds_no_rates_is_refused(content, tmp_path) -> None:
    path = tmp_path / "rates"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        await loader(MemoryRateStore(), rates_file=str(path)).run()


@pytest.mark.parametrize("path", ["", "missing.json"])
async def test_directory_or_missing_file_is_refused(path, tmp_path) -> None:
    with pytest.raises(InvalidInput, match="--rates-file"):
        await loader(MemoryRateStore(), rates_file=str(tmp_path / path)).run()


def test_zip_bomb_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 1000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 5000)
    with pytest.raises(InvalidInput, match="larger"):
        source.unzipped(packed.getvalue(), "--rates-file")


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, _, rest = self.path.strip("/").partition("/")
        self.send_response(int(status))
        if status == "302":
            self.send_header("Location", rest)
        self.end_headers()
        self.wfile.write(rows(row()))

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_rates_are_fetched_from_an_address(address) -> None:
    store = MemoryRateStore()
    await loader(store, rates_url=f"{address}/200").run()
    assert [r.rate for r in await store.loaded_since(None)] == [Decimal("1.5")]


async def test_redirect_to_another_scheme_is_refused(address) -> None:
    with pytest.raises(InvalidInput):
        await source.fetch(f"{address}/302/file:///etc/passwd")


@pytest.mark.parametrize(("status", "family"), [(404, InvalidInput), (503, Unavailable), (429, Unavailable)])
async def test_refusal_of_the_server_is_told_from_its_weakness(address, status, family) -> None:
    with pytest.raises(family):
        await source.fetch(f"{address}/{status}")


async def test_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await source.fetch("http://127.0.0.1:1/")
