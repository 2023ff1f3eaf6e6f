from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.helpers.container_harness import ContainerHarness
from tests.helpers.embedded_harness import EmbeddedPlatform
from tests.helpers.harness import PipelineHarness, RunningPipeline, TenantHarness
from tests.helpers.memory_harness import MemoryPipeline
from tests.helpers.real_engines import real_engines
from tests.helpers.real_servers import RealServers
from tests.helpers.subprocess_harness import SubprocessHarness


def _on_real_engines(name: str):
    """Run by one test process only: each that starts such a pipeline starts five engines."""
    return pytest.param(name, marks=[pytest.mark.real_infra, pytest.mark.xdist_group(name)])


HARNESSES = ("memory", "embedded", _on_real_engines("container"), _on_real_engines("subprocess"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def memory_pipeline() -> AsyncIterator[RunningPipeline]:
    async with MemoryPipeline() as pipeline:
        yield pipeline


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_pipeline(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPipeline]:
    async with EmbeddedPlatform(tmp_path_factory.mktemp("embedded") / "data") as platform:
        yield platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def container_pipeline(
    infra: RealServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningPipeline]:
    async with real_engines(infra, tmp_path_factory.mktemp("engines")) as engines, ContainerHarness(engines) as harness:
        yield harness


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def subprocess_pipeline(
    infra: RealServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningPipeline]:
    scratch = tmp_path_factory.mktemp("processes")
    async with real_engines(infra, scratch) as engines, SubprocessHarness(engines, scratch) as harness:
        yield harness


@pytest.fixture(params=HARNESSES)
def h(request: pytest.FixtureRequest, tmp_path: Path) -> PipelineHarness:
    """One tenant of its own in a pipeline that all tests share."""
    return TenantHarness(request.getfixturevalue(f"{request.param}_pipeline"), tmp_path)
