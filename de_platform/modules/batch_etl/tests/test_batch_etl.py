"""Batch ETL: steps by dotted path, every method, dry run, faults."""

import io
import json

import pytest

from de_platform.modules.batch_etl.data_stream import ItemFailed
from de_platform.modules.batch_etl.main import BatchEtlModule, BatchEtlSettings
from de_platform.modules.batch_etl.steps import Extractor, build
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.logger.memory_logger import MemoryLogger

SAMPLES = "de_platform.modules.batch_etl.samples"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.jsonl"
    lines = [f'{{"id":"{i}","price":1.{i:020d},"x":1}}' for i in range(7)]
    path.write_text("\n".join([*lines, "", '{"id":"no price"}']) + "\n")
    return path


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out.jsonl"


def etl(source, target, **changes: object) -> BatchEtlModule:
    settings = {
        "extractor": f"{SAMPLES}.JsonLinesExtractor",
        "extractor_params": {"path": str(source)},
        "transformers": f"{SAMPLES}.FieldChooser",
        "transformers_params": [{"fields": ["id", "price"]}],
        "transformers_method": "inline",
        "transformers_workers": 2,
        "loader": f"{SAMPLES}.JsonLinesLoader",
        "loader_params": {"path": str(target)},
        "loader_method": "inline",
        "loader_workers": 2,
        "batch_size": 3,
        "dry_run": False,
        **changes,
    }
    module = BatchEtlModule(BatchEtlSettings(**settings), MemoryLogger())
    module.out = io.StringIO()
    return module


@pytest.mark.parametrize("method", ["inline", "concurrent", "parallel"])
async def test_items_flow_through_in_order_and_exact(source, target, method) -> None:
    module = etl(source, target, transformers_method=method)
    assert await module.run() == 0
    assert target.read_text().splitlines() == [f'{{"id":"{i}","price":1.{i:020d}}}' for i in range(7)]
    assert json.loads(module.out.getvalue()) == {"extracted": 8, "transformed": 7, "loaded": 7}


async def test_dry_run_loads_nothing(source, target) -> None:
    module = etl(source, target, dry_run=True)
    await module.run()
    assert not target.exists()
    assert json.loads(module.out.getvalue()) == {"extracted": 8, "transformed": 7, "loaded": 0}


async def test_second_run_replaces_the_first(source, target) -> None:
    await etl(source, target).run()
    await etl(source, target).run()
    assert len(target.read_text().splitlines()) == 7


async def test_failing_item_is_named(source, target) -> None:
    paths = f"{SAMPLES}.FieldChooser, operator.attrgetter"
    with pytest.raises(InvalidInput, match="not a subclass of Transformer"):
        await etl(source, target, transformers=paths).run()
    source.write_text('{"id":1}\nbroken\n')
    with pytest.raises(ItemFailed, match="JsonLinesExtractor failed for item 1"):
        await etl(source, target).run()


async def test_refusing_step_stops_the_run_and_says_where(source, target) -> None:
    with pytest.raises(ItemFailed, match="JsonLinesLoader failed for item 0"):
        await etl(source, target, loader_params={"path": str(target.parent)}).run()


@pytest.mark.parametrize(
    "path", ["", "JsonLines", "no.such.module.Class", f"{SAMPLES}.Missing", f"{SAMPLES}.FieldChooser", "os.system"]
)
def test_path_that_names_no_step_is_refused(path) -> None:
    with pytest.raises(InvalidInput):
        build(Extractor, path, {})


def test_arguments_that_a_step_does_not_take_are_refused() -> None:
    with pytest.raises(InvalidInput, match="extractor-params"):
        build(Extractor, f"{SAMPLES}.JsonLinesExtractor", {"file": "x"})


async def test_every_bad_setting_is_named(source, target) -> None:
    with pytest.raises(InvalidInput) as refused:
        await etl(source, target, batch_size=0, loader_workers=0, transformers="").run()
    assert [e.field for e in refused.value.errors] == ["--batch-size", "--loader-workers", "--transformers-params"]
