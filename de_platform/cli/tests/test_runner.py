"""Modules of a process end together, in order, with an exit code that tells how."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from de_platform.cli.choices import Choices
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.runner import HealthOptions, ModuleRun, run_process
from de_platform.config.container import Container
from de_platform.config.settings import Origin, Settings, Source
from de_platform.modules.base import HealthCheck, Module
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.message_queue.interface import MessageQueueInterface


def around(**choices: str) -> Surroundings:
    settings = Settings.resolve(Source(origin=Origin.ENVIRONMENT, values={"DE_PLATFORM_DRAIN_TIMEOUT_SECONDS": "0.3"}))
    return Surroundings(choices=Choices(log="memory", **choices), settings=settings)


class Script(Module):
    """Does what a test says, and writes down its phases."""

    def __init__(self, lifecycle: LifecycleManager, journal: list[str], name: str, work: Callable) -> None:
        self.lifecycle = lifecycle
        self.journal = journal
        self.name = name
        self.work = work

    async def execute(self) -> int:
        self.journal.append(f"{self.name} executes")
        return await self.work(self)

    async def teardown(self) -> None:
        self.journal.append(f"{self.name} torn down")


@pytest.fixture
def journal() -> list[str]:
    return []


def script(journal: list[str], work: Callable[[Script], Awaitable[int]], name: str = "one") -> ModuleRun:
    async def build(container: Container) -> Module:
        return Script(await container.resolve(LifecycleManager), journal, name, work)

    return ModuleRun(name=name, build=build)


async def until_shutdown(module: Script) -> int:
    await module.lifecycle.wait_for_shutdown()
    return 0


async def forever(module: Script) -> int:
    await asyncio.sleep(60)
    return 0


def terminating(number: signal.Signals = signal.SIGTERM, *, times: int = 1) -> Callable[[Script], Awaitable[int]]:
    async def work(module: Script) -> int:
        for _ in range(times):
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.01)
        await asyncio.sleep(60)
        return 0

    return work


def returning(code: int) -> Callable[[Script], Awaitable[int]]:
    async def work(module: Script) -> int:
        return code

    return work


def raising(error: Exception) -> Callable[[Script], Awaitable[int]]:
    async def work(module: Script) -> int:
        raise error

    return work


@pytest.mark.parametrize("code", [0, 1, 7])
async def test_exit_code_of_a_job_is_that_of_the_process(journal: list[str], code: int) -> None:
    assert await run_process([script(journal, returning(code))], around(), None) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput.single("--x", "y"), ExitCode.USAGE),
        (Unavailable("postgres", "refused"), ExitCode.UNAVAILABLE),
        (ValueError("a defect"), ExitCode.FAILED),
    ],
)
async def test_failed_phase_is_an_exit_code_and_torn_down(journal: list[str], error: Exception, code: int) -> None:
    assert await run_process([script(journal, raising(error))], around(), None) == code
    assert journal[-1] == "one torn down"


async def test_sigterm_ends_a_service_in_order_with_0(journal: list[str]) -> None:
    async def work(module: Script) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        await module.lifecycle.wait_for_shutdown()
        module.journal.append("one drained")
        return 0

    assert await run_process([script(journal, work)], around(), None) == ExitCode.OK
    assert journal == ["one executes", "one drained", "one torn down"]


async def test_hooks_run_after_modules_have_drained(journal: list[str]) -> None:
    async def work(module: Script) -> int:
        async def hook() -> None:
            module.journal.append("hook")

        module.lifecycle.on_shutdown(hook)
        return 0

    await run_process([script(journal, work)], around(), None)
    assert journal == ["one executes", "one torn down", "hook"]


async def test_failing_hook_is_not_an_orderly_end(journal: list[str]) -> None:
    async def work(module: Script) -> int:
        async def hook() -> None:
            raise OSError("disk full")

        module.lifecycle.on_shutdown(hook)
        return 0

    assert await run_process([script(journal, work)], around(), None) == ExitCode.NOT_DRAINED


async def test_module_that_does_not_end_in_time_is_cut_short(journal: list[str]) -> None:
    assert await run_process([script(journal, terminating())], around(), None) == ExitCode.NOT_DRAINED
    assert journal[-1] == "one torn down"


async def test_second_ctrl_c_cuts_short_at_once(journal: list[str]) -> None:
    runs = [script(journal, terminating(signal.SIGINT, times=2))]
    assert await run_process(runs, around(), None) == ExitCode.INTERRUPTED


async def test_one_failing_module_ends_the_others_in_order(journal: list[str]) -> None:
    runs = [script(journal, until_shutdown, "first"), script(journal, raising(ValueError("x")), "second")]
    assert await run_process(runs, around(), None) == ExitCode.FAILED
    assert {"first torn down", "second torn down"} <= set(journal)


async def test_service_that_was_not_chosen_is_a_usage_error() -> None:
    async def build(container: Container) -> Module:
        await container.resolve(MessageQueueInterface)
        raise AssertionError

    assert await run_process([ModuleRun(name="one", build=build)], around(), None) == ExitCode.USAGE


async def test_modules_of_a_process_share_their_services(journal: list[str]) -> None:
    queues: list[MessageQueueInterface] = []

    def sharing(name: str) -> ModuleRun:
        async def build(container: Container) -> Module:
            queues.append(await container.resolve(MessageQueueInterface))
            return Script(await container.resolve(LifecycleManager), journal, name, until_shutdown)

        return ModuleRun(name=name, build=build)

    runs = [sharing("first"), sharing("second"), script(journal, returning(0), "third")]
    assert await run_process(runs, around(mq="memory"), None) == ExitCode.OK
    assert queues[0] is queues[1]


async def test_health_tells_of_modules_and_services(journal: list[str]) -> None:
    class Checked(Script):
        def health_checks(self) -> dict[str, HealthCheck]:
            async def check() -> None:
                raise Unavailable("exchange", "closed")

            return {"exchange": check}

    answers: list[bytes] = []
    ports: list[int] = []

    async def asking(module: Script) -> int:
        while b"closed" not in b"".join(answers):
            reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
            writer.write(b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n")
            answers.append(await reader.read())
            writer.close()
            await asyncio.sleep(0.01)
        return 0

    async def build(container: Container) -> Module:
        await container.resolve(MessageQueueInterface)
        return Checked(await container.resolve(LifecycleManager), journal, "one", asking)

    health = HealthOptions(host="127.0.0.1", port=0, on_listening=ports.append)
    async with asyncio.timeout(5):
        await run_process([ModuleRun(name="one", build=build)], around(mq="memory"), health)
    assert b" 503 " in answers[-1]
    assert b'"message_queue":{"ok":true}' in answers[-1]
    assert b"one.exchange" in answers[-1]
