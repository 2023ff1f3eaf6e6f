from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.helpers.embedded_harness import EmbeddedPlatform
from tests.helpers.harness import PipelineHarness, RunningPipeline, TenantHarness
from tests.helpers.memory_harness import MemoryPipeline


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def memory_pipeline() -> AsyncIterator[RunningPipeline]:
    async with MemoryPipeline() as pipeline:
        yield pipeline


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_pipeline(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPipeline]:
    async with EmbeddedPlatform(tmp_path_factory.mktemp("embedded") / "data") as platform:
        yield platform


@pytest.fixture(params=["memory", "embedded"])
def h(request: pytest.FixtureRequest, tmp_path: Path) -> PipelineHarness:
    """One tenant of its own in a pipeline that all tests share."""
    return TenantHarness(request.getfixturevalue(f"{request.param}_pipeline"), tmp_path)
