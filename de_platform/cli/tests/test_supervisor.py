"""Processes are kept running, end in order, and never outlive their supervisor."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from de_platform.cli.child import ChildSpec
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.supervisor import RestartPolicy, Supervisor
from de_platform.http.health import HealthMonitor, HealthStatus
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger

HERE = Path(__file__).parent
NAMES = ("store", "pipeline", "edge")


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def starts(self, name: str) -> list[int]:
        return [int(line[2]) for line in self.lines() if line[:2] == ["start", name]]

    def stops(self) -> list[str]:
        return [line[1] for line in self.lines() if line[0] == "stop"]

    def all_started(self) -> bool:
        return all(self.starts(name) for name in NAMES)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def wait_until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


async def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Running:
    def __init__(self, journal: Journal, **environment: str) -> None:
        specs = [
            ChildSpec(name=name, command=(sys.executable, str(HERE / "fake_child.py"), name, str(journal.path)))
            for name in NAMES
        ]
        self.lifecycle = LifecycleManager(MemoryLogger())
        self.founded: list[dict[str, str]] = []
        self.supervisor = Supervisor(
            specs,
            {**os.environ, **environment},
            MemoryLogger(),
            self.lifecycle,
            on_founded=lambda found: self.founded.append(dict(found)),
            policy=RestartPolicy(first_seconds=0.05),
            stop_timeout_seconds=5,
        )
        self.task = asyncio.create_task(self.supervisor.run())

    async def stop(self) -> int:
        self.lifecycle.request_shutdown()
        return await self.task


async def test_others_start_with_what_the_foundation_reports(journal: Journal) -> None:
    running = Running(journal)
    await wait_for(journal.all_started)
    await running.stop()
    assert {line[1]: line[3] for line in journal.lines() if line[0] == "start"} == {
        "store": "-",
        "pipeline": "store",
        "edge": "store",
    }
    assert running.founded == [{"FOUNDED_BY": "store"}]


async def test_stop_goes_backwards_one_by_one_and_succeeds(journal: Journal) -> None:
    running = Running(journal)
    await wait_for(lambda: running.supervisor.are_all_running)
    assert await running.stop() == ExitCode.OK
    assert journal.stops() == ["edge", "pipeline", "store"]


async def test_killed_child_is_started_again_within_half_a_second(journal: Journal) -> None:
    running = Running(journal)
    await wait_for(lambda: running.supervisor.are_all_running)
    os.kill(journal.starts("edge")[0], signal.SIGKILL)
    child = running.supervisor.children[2]
    await wait_for(lambda: not child.is_running)
    died_at = time.monotonic()
    await wait_for(lambda: child.is_running)
    assert time.monotonic() - died_at < 0.5
    await wait_for(lambda: len(journal.starts("edge")) == 2)
    assert len(journal.starts("pipeline")) == 1
    assert await running.stop() == ExitCode.OK


async def test_death_of_the_foundation_leaves_the_others_alone(journal: Journal) -> None:
    running = Running(journal)
    await wait_for(lambda: running.supervisor.are_all_running)
    os.kill(journal.starts("store")[0], signal.SIGKILL)
    await wait_for(lambda: len(journal.starts("store")) == 2 and running.supervisor.are_all_running)
    assert (len(journal.starts("pipeline")), len(journal.starts("edge"))) == (1, 1)
    assert await running.stop() == ExitCode.OK


async def test_foundation_that_comes_back_elsewhere_restarts_the_others(journal: Journal) -> None:
    running = Running(journal, MOVES="yes")
    await wait_for(lambda: running.supervisor.are_all_running)
    os.kill(journal.starts("store")[0], signal.SIGKILL)
    await wait_for(lambda: len(journal.starts("edge")) == 2 and len(journal.starts("pipeline")) == 2)
    last = {line[1]: line[3] for line in journal.lines() if line[0] == "start"}
    assert last["edge"] == last["pipeline"] == f"store{journal.starts('store')[1]}"
    assert await running.stop() == ExitCode.OK


async def test_failing_end_of_one_child_is_the_exit_code(journal: Journal) -> None:
    running = Running(journal, EXIT_CODE_pipeline="4")
    await wait_for(lambda: running.supervisor.are_all_running)
    assert await running.stop() == ExitCode.NOT_DRAINED


async def test_stop_while_starting_succeeds(journal: Journal) -> None:
    running = Running(journal)
    await asyncio.sleep(0)
    assert await running.stop() == ExitCode.OK


async def test_child_that_refuses_its_configuration_ends_everything(journal: Journal) -> None:
    running = Running(journal, REFUSES="pipeline")
    async with asyncio.timeout(20):
        assert await running.task == ExitCode.USAGE


async def test_ready_only_while_every_child_is(journal: Journal) -> None:
    running = Running(journal)
    monitor = HealthMonitor(
        SystemClock(), is_started=lambda: running.supervisor.are_all_running, is_stopping=lambda: False
    )
    running.supervisor.watch_health(monitor)
    await monitor.refresh()
    assert monitor.report.status is HealthStatus.STARTING
    await wait_for(lambda: running.supervisor.are_all_running)
    await monitor.refresh()
    assert monitor.report.status is HealthStatus.READY
    os.kill(journal.starts("pipeline")[0], signal.SIGKILL)
    await wait_for(lambda: not running.supervisor.are_all_running)
    await monitor.refresh()
    assert not monitor.report.checks["pipeline"].ok
    await running.stop()


async def test_metrics_of_all_children_are_one(journal: Journal) -> None:
    running = Running(journal)
    await wait_for(lambda: running.supervisor.are_all_running)
    merged = (await running.supervisor.metrics()).decode()
    await running.stop()
    assert [f'up{{process="{name}"}} 1' in merged for name in NAMES] == [True, True, True]


@pytest.fixture
def platform(journal: Journal) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(HERE / "fake_platform.py"), str(journal.path)]
    )
    wait_until(journal.all_started)
    yield process
    process.kill()
    process.wait()


def test_children_do_not_outlive_a_killed_supervisor(platform: subprocess.Popen[bytes], journal: Journal) -> None:
    pids = [journal.starts(name)[0] for name in NAMES]
    platform.kill()
    wait_until(lambda: not any(map(is_alive, pids)), seconds=5)


def test_sigterm_to_the_supervisor_ends_all_with_0(platform: subprocess.Popen[bytes], journal: Journal) -> None:
    platform.send_signal(signal.SIGTERM)
    assert platform.wait(20) == 0
    assert journal.stops() == ["edge", "pipeline", "store"]
