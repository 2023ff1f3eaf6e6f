"""File processor: every format, every kind of broken file, and the same file again."""

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from de_platform.modules.file_processor import gunzip
from de_platform.modules.file_processor.appends import MAX_ATTEMPTS
from de_platform.modules.file_processor.delivery import BATCH_PIECES
from de_platform.modules.file_processor.main import FileProcessorModule, FileProcessorSettings
from de_platform.pipeline import topics
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import EventType
from de_platform.pipeline.file_pieces import MAX_PIECE_BYTES
from de_platform.pipeline.messages import Message
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics

ORDER = {
    "id": "o-1",
    "tenant_id": "acme",
    "status": "new",
    "transact_time": "2026-01-15T10:00:00Z",
    "symbol": "AAPL",
    "side": "buy",
    "quantity": 100,
    "price": 187.25,
    "order_type": "limit",
    "currency": "USD",
}


def orders(count: int, **changes: object) -> list[dict[str, object]]:
    return [{**ORDER, "id": f"o-{index}", **changes} for index in range(count)]


def jsonl(events: Sequence[object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


class Log(MemoryQueue):
    """Keeps appends as they came, and can be away for a while."""

    def __init__(self, clock: MemoryClock) -> None:
        super().__init__(clock)
        self.appends: list[list[Message]] = []
        self.failures = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("log", "away")
        self.appends.append(list(messages))

    def values(self, topic: str) -> list[dict]:
        return [json.loads(m.value) for append in self.appends for m in append if m.topic == topic]

    def ids(self, topic: str) -> list[str]:
        return [value["message_id"] for value in self.values(topic)]

    def lines_in_error(self) -> list[int]:
        return [error["position"] for error in self.values(topics.NORMALIZATION_ERRORS)]


@pytest.fixture
def log() -> Log:
    return Log(MemoryClock())


def processor(log: Log, path: Path, **changes: object) -> FileProcessorModule:
    settings = {"event_type": EventType.ORDER, "tenant_id": "", "submission_id": "", "format": "auto", **changes}
    clock = MemoryClock()
    logger = MemoryLogger()
    module = FileProcessorModule(
        FileProcessorSettings(file_path=str(path), **settings),
        log,
        MemoryMetrics(),
        clock,
        LifecycleManager(logger),
        logger,
    )
    module.out = io.StringIO()
    return module


async def process(log: Log, path: Path, content: bytes | None = None, **changes: object) -> dict:
    if content is not None:
        path.write_bytes(content)  # noqa: ASYNC240
    module = processor(log, path, **changes)
    assert await module.run() == 0
    return json.loads(module.out.getvalue())


def as_csv(events: Sequence[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(events[0]))
    writer.writeheader()
    writer.writerows(events)
    return text.getvalue().encode()


WRITERS = {"json": lambda events: json.dumps(events).encode(), "jsonl": jsonl, "csv": as_csv}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", WRITERS)
async def test_each_format_brings_the_same_events(log, tmp_path, name, packed) -> None:
    content = WRITERS[name](orders(5))
    summary = await process(log, tmp_path / f"f.{name}", gzip.compress(content) if packed else content)
    assert (summary["total"], summary["accepted"], summary["rejected"]) == (5, 5, 0)
    sent = [{k: v for k, v in event.items() if k in ORDER} for event in log.values(topics.TRADE_NORMALIZATION)]
    assert sent == orders(5)


async def test_events_errors_and_receipt_of_a_batch_are_one_append(log, tmp_path) -> None:
    count = BATCH_PIECES + 1
    await process(log, tmp_path / "f.jsonl", jsonl(orders(count)) + b"broken\n")
    assert [Counter(m.topic for m in append) for append in log.appends] == [
        {topics.TRADE_NORMALIZATION: BATCH_PIECES, topics.INGESTION_AUDIT: 1},
        {topics.TRADE_NORMALIZATION: 1, topics.NORMALIZATION_ERRORS: 1, topics.INGESTION_AUDIT: 2},
    ]


async def test_receipts_add_up_to_the_file_and_the_last_is_final(log, tmp_path) -> None:
    events = [*orders(3), *orders(2, tenant_id="beta"), {"tenant_id": "beta"}]
    await process(log, tmp_path / "f.jsonl", jsonl(events) + b"broken\n")
    receipts = {r["tenant_id"]: r for r in log.values(topics.INGESTION_AUDIT)}
    counts = {tenant: (r["claimed"], r["accepted"], r["rejected"]) for tenant, r in receipts.items()}
    assert counts == {"": (1, 0, 1), "acme": (3, 3, 0), "beta": (3, 2, 1)}
    assert all(r["final"] and r["name"] == "f.jsonl" for r in receipts.values())


async def test_every_tenant_of_a_long_file_gets_a_final_receipt(log, tmp_path) -> None:
    await process(log, tmp_path / "f.jsonl", jsonl([*orders(BATCH_PIECES, tenant_id="early"), *orders(1)]))
    receipts = log.values(topics.INGESTION_AUDIT)
    assert [(r["tenant_id"], r["claimed"], r["final"]) for r in receipts] == [
        ("early", BATCH_PIECES, False),
        ("acme", 1, True),
        ("early", 0, True),
    ]
    assert len({r["receipt_id"] for r in receipts}) == 3


async def test_broken_line_in_the_middle_is_one_error_with_its_number(log, tmp_path) -> None:
    lines = jsonl(orders(4)).splitlines(keepends=True)
    lines.insert(2, b'{"id": "o-9", "tenant_id"\n')
    summary = await process(log, tmp_path / "f.jsonl", b"".join(lines))
    assert (summary["accepted"], summary["rejected"]) == (4, 1)
    (error,) = log.values(topics.NORMALIZATION_ERRORS)
    assert (error["position"], error["raw_data"]) == (3, '{"id": "o-9", "tenant_id"')


async def test_horrors_are_one_error_each_and_the_rest_goes_on(log, tmp_path) -> None:
    good = json.dumps(ORDER).encode()
    horrors = [
        b"\xff\xfe", b"\x00", b'{"id":"\x00"}', b"[" * 100_000, good + b"x", good.replace(b"100", b"NaN"),
        good.replace(b"100", b"1e400"), good.replace(b'"o-1"', b'"\\ud800"'), b"null", b"[]", b"{}",
        b'{"a":"' + b"x" * MAX_PIECE_BYTES + b'"}', b"\xef\xbb\xbf" + good, good[:-1] + b',"price":1}',
    ]  # fmt: skip
    content = b"".join(good.replace(b"o-1", b"g-%d" % n) + b"\n" + horror + b"\n" for n, horror in enumerate(horrors))
    summary = await process(log, tmp_path / "f.jsonl", content)
    assert (summary["accepted"], summary["rejected"]) == (len(horrors), len(horrors))
    assert sorted(log.lines_in_error()) == list(range(2, 2 * len(horrors) + 1, 2))


async def test_the_same_file_again_gives_the_same_ids(log, tmp_path) -> None:
    content = jsonl([*orders(3), {"id": 1}])
    await process(log, tmp_path / "f.jsonl", content)
    again = Log(MemoryClock())
    (tmp_path / "elsewhere").mkdir()
    await process(again, tmp_path / "elsewhere" / "f.jsonl", content)
    for topic in (topics.TRADE_NORMALIZATION, topics.NORMALIZATION_ERRORS):
        assert log.ids(topic) == again.ids(topic)
    assert [r["receipt_id"] for r in log.values(topics.INGESTION_AUDIT)] == [
        r["receipt_id"] for r in again.values(topics.INGESTION_AUDIT)
    ]


@pytest.mark.parametrize(("name", "content"), [("g.jsonl", jsonl(orders(1))), ("f.jsonl", jsonl(orders(1, price=1)))])
async def test_renamed_or_corrected_file_is_another_submission(log, tmp_path, name, content) -> None:
    first = await process(log, tmp_path / "f.jsonl", jsonl(orders(1)))
    second = await process(log, tmp_path / name, content)
    assert first["submission_id"] != second["submission_id"]


async def test_given_submission_id_names_the_delivery(log, tmp_path) -> None:
    summary = await process(log, tmp_path / "f.jsonl", jsonl(orders(1)), submission_id="day-1")
    assert summary["submission_id"] == log.values(topics.TRADE_NORMALIZATION)[0]["submission_id"] == "day-1"


async def test_event_of_another_tenant_than_the_bound_one_is_an_error(log, tmp_path) -> None:
    await process(log, tmp_path / "f.jsonl", jsonl([*orders(1), *orders(1, tenant_id="beta")]), tenant_id="acme")
    (error,) = log.values(topics.NORMALIZATION_ERRORS)
    assert (error["tenant_id"], error["errors"][0]["field"]) == ("acme", "tenant_id")


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf", b"[]", gzip.compress(b"", mtime=0)])
async def test_empty_file_is_no_events_and_no_fault(log, tmp_path, content) -> None:
    summary = await process(log, tmp_path / "f.json", content, tenant_id="acme")
    assert (summary["total"], summary["fault"]) == (0, "")
    assert [r["claimed"] for r in log.values(topics.INGESTION_AUDIT)] == [0]


async def test_byte_order_mark_is_dropped(log, tmp_path) -> None:
    summary = await process(log, tmp_path / "f.csv", b"\xef\xbb\xbf" + as_csv(orders(2)))
    assert summary["accepted"] == 2


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x02\x01\x01\0\0",
        json.dumps([ORDER]).encode("utf-16"),
        b"PK\x03\x04..",
        b"hello",
        gzip.compress(b"\0" * 99, mtime=0),
    ],
)
async def test_file_that_holds_no_events_is_refused_and_leaves_nothing(log, tmp_path, content) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InvalidInput, match="file-path"):
        await processor(log, tmp_path / "f").run()
    assert not log.appends


@pytest.mark.parametrize("path", ["missing.jsonl", "", "/dev/null"])
async def test_missing_directory_or_device_is_refused(log, tmp_path, path) -> None:
    with pytest.raises(InvalidInput, match="file-path"):
        await processor(log, tmp_path / path).run()


async def test_truncated_gzip_brings_what_it_has_and_an_error(log, tmp_path) -> None:
    packed = gzip.compress(jsonl(orders(1000)), compresslevel=1)
    (tmp_path / "f.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    module = processor(log, tmp_path / "f.jsonl.gz")
    with pytest.raises(InvalidInput, match="end before"):
        await module.run()
    summary = json.loads(module.out.getvalue())
    assert 100 < summary["accepted"] < 1000
    assert log.values(topics.NORMALIZATION_ERRORS)[-1]["errors"][0]["message"] == summary["fault"]
    assert summary["total"] == sum(r["claimed"] for r in log.values(topics.INGESTION_AUDIT))


async def test_zip_bomb_is_stopped(log, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gunzip, "FREE_BYTES", 1 << 20)
    (tmp_path / "f.jsonl").write_bytes(gzip.compress(jsonl(orders(1)) + b" " * (8 << 20)))
    with pytest.raises(InvalidInput, match="300 times"):
        await processor(log, tmp_path / "f.jsonl").run()


async def test_gzip_of_several_members_and_padding_is_one_text(log, tmp_path) -> None:
    members = b"".join(gzip.compress(line) for line in jsonl(orders(3)).splitlines(keepends=True))
    assert (await process(log, tmp_path / "f.jsonl", members + b"\0" * 512))["accepted"] == 3


def test_unpacking_gives_the_whole_text_in_small_pieces() -> None:
    text = zlib.compress(b"seed") * 300_000
    pieces = list(gunzip.gunzipped([gzip.compress(text)]))
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) <= gunzip.OUTPUT_BYTES


async def test_array_that_is_not_closed_brings_what_it_has_and_fails(log, tmp_path) -> None:
    (tmp_path / "f.json").write_bytes(json.dumps(orders(3)).encode()[:-1])
    with pytest.raises(InvalidInput, match="before the array is closed"):
        await processor(log, tmp_path / "f.json").run()
    assert len(log.values(topics.TRADE_NORMALIZATION)) == 2
    assert log.lines_in_error() == [3]


async def test_log_that_is_away_for_a_while_costs_only_time(log, tmp_path) -> None:
    log.failures = MAX_ATTEMPTS - 1
    assert (await process(log, tmp_path / "f.jsonl", jsonl(orders(1))))["accepted"] == 1


async def test_log_that_stays_away_is_unavailable(log, tmp_path) -> None:
    log.failures = MAX_ATTEMPTS
    with pytest.raises(Unavailable):
        await process(log, tmp_path / "f.jsonl", jsonl(orders(1)))


async def test_shutdown_stops_between_appends(log, tmp_path) -> None:
    (tmp_path / "f.jsonl").write_bytes(jsonl(orders(BATCH_PIECES * 3)))
    module = processor(log, tmp_path / "f.jsonl")
    publish = log.publish

    async def publish_and_stop(messages: Sequence[Message]) -> None:
        await publish(messages)
        module._lifecycle.request_shutdown()

    log.publish = publish_and_stop
    with pytest.raises(Unavailable, match="run the same again"):
        await module.run()
    assert len(log.appends) == 1


async def test_position_of_csv_is_the_line(log, tmp_path) -> None:
    await process(log, tmp_path / "f.csv", as_csv(orders(2)).replace(b"buy", b"hold", 1))
    assert log.lines_in_error() == [2]


async def test_csv_decimal_stays_exact(log, tmp_path) -> None:
    content = as_csv(orders(1)).replace(b"187.25", b"187.250000000000000001")
    await process(log, tmp_path / "f.csv", content)
    raw = next(m.value for m in log.appends[0] if m.topic == topics.TRADE_NORMALIZATION)
    assert bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])["price"]) == b"187.250000000000000001"


@pytest.mark.parametrize("changes", [{"tenant_id": "platform"}, {"tenant_id": "a b"}, {"submission_id": "x" * 1025}])
async def test_bad_settings_are_refused(log, tmp_path, changes) -> None:
    with pytest.raises(InvalidInput):
        await processor(log, tmp_path / "f", **changes).run()
