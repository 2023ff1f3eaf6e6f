"""The example greets."""

import pytest

from de_platform.modules.hello_world.main import HelloWorldModule, HelloWorldSettings
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.logger.memory_logger import MemoryLogger


def hello(name: str) -> tuple[HelloWorldModule, MemoryLogger]:
    log = MemoryLogger()
    return HelloWorldModule(HelloWorldSettings(name=name), log), log


async def test_logs_a_greeting_and_succeeds() -> None:
    module, log = hello("Ada")
    assert await module.run() == 0
    assert [(entry.message, entry.fields) for entry in log.entries] == [("hello", {"name": "Ada"})]


async def test_nobody_cannot_be_greeted() -> None:
    module, _ = hello("  ")
    with pytest.raises(InvalidInput, match="--name"):
        await module.run()
