import os
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.infra_servers.infra import Infra
from scripts.infra_servers.server import Server
from tests.helpers.real_servers import RealServers, required_names

_USING = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=10, help="how often the kill test kills a process of the platform")
    parser.addoption("--kill-seed", type=int, default=20261123, help="which instants and which processes it chooses")
    parser.addoption("--fault-seconds", type=float, default=3.0, help="how long an engine stays away once it is missed")


def pytest_configure(config: pytest.Config) -> None:
    """Count this run among the users of the servers; its workers need no place of their own in the count."""
    required_names(os.environ)
    if not hasattr(config, "workerinput"):
        config.stash[_USING] = ExitStack()
        config.stash[_USING].enter_context(Infra.of_environment().in_use())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers that were started for tests, unless another run uses them."""
    if _USING in config.stash:
        config.stash[_USING].close()


@pytest.fixture(scope="session")
def infra() -> RealServers:
    """The servers that all tests share, each started by the first test that asks for it."""
    return RealServers(Infra.of_environment())


@pytest.fixture
def private_server(infra: RealServers, tmp_path: Path) -> Generator[Callable[[str], Server]]:
    """Start servers of the test's own, to be frozen, killed and restarted."""
    with ExitStack() as stack:

        def start(name: str) -> Server:
            server = infra.private(name, tmp_path / name)
            stack.callback(server.kill)
            return server

        yield start
