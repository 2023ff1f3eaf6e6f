"""The transfers of the AMLSim sample, converted by the example, are all accounted for."""

import importlib.util
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from de_platform.modules.file_processor.main import FileProcessorModule, FileProcessorSettings
from de_platform.pipeline import topics
from de_platform.pipeline.events import EventType, Header
from de_platform.pipeline.messages import Message
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.noop_metrics import NoopMetrics

REPOSITORY = Path(__file__).parents[4]
SAMPLE = (
    Path(os.environ.get("DE_PLATFORM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    / "amlsim-20k-fanin200cycle200.tgz"
)
TRANSFERS = 120_558


@pytest.fixture(scope="module")
def convert() -> ModuleType:
    spec = importlib.util.spec_from_file_location("amlsim_convert", REPOSITORY / "examples" / "amlsim" / "convert.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Counting(MemoryQueue):
    """Counts what is published instead of keeping it."""

    def __init__(self) -> None:
        super().__init__(MemoryClock())
        self.topics: Counter[str] = Counter()
        self.message_ids: set[str] = set()
        self.claimed = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.topics[message.topic] += 1
            if message.topic == topics.TX_NORMALIZATION:
                self.message_ids.add(message.headers[Header.MESSAGE_ID])
            elif message.topic == topics.INGESTION_AUDIT:
                self.claimed += json.loads(message.value)["claimed"]


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"no {SAMPLE.name} in DE_PLATFORM_TEST_DATA")
async def test_every_transfer_of_the_sample_is_accounted_for(convert, tmp_path) -> None:
    path = tmp_path / "transfers.csv"
    with convert.opened(SAMPLE) as transfers, path.open("w") as out:
        convert.write_csv(convert.transactions(transfers, tenant_id="amlsim"), out)
    queue, logger = Counting(), MemoryLogger()
    module = FileProcessorModule(
        FileProcessorSettings(
            file_path=str(path),
            event_type=EventType.TRANSACTION,
            tenant_id="amlsim",
            submission_id="",
            format="auto",
        ),
        queue,
        NoopMetrics(),
        MemoryClock(),
        LifecycleManager(logger),
        logger,
    )
    module.out = io.StringIO()
    assert await module.run() == 0
    summary = json.loads(module.out.getvalue())
    assert (summary["total"], summary["accepted"], summary["rejected"]) == (TRANSFERS, TRANSFERS, 0)
    assert (queue.topics[topics.TX_NORMALIZATION], len(queue.message_ids), queue.claimed) == (TRANSFERS,) * 3


def test_identical_transfers_are_different_transactions(convert) -> None:
    lines = ["sourceNodeId,targetNodeId,value,time\n", "1,2,10.10,3\n", "1,2,10.10,3\n"]
    first, second = convert.transactions(lines, tenant_id="t")
    assert first["id"] != second["id"]
    assert {**first, "id": ""} == {**second, "id": ""}


def test_both_forms_say_the_same(convert) -> None:
    lines = ["sourceNodeId,targetNodeId,value,time\n", "1,2,10.10,3\n"]
    out = io.StringIO()
    convert.write_jsonl(convert.transactions(lines, tenant_id="t"), out)
    assert '"amount": 10.10' in out.getvalue()
    assert json.loads(out.getvalue())["transact_time"] == "2017-01-04T00:00:00Z"
