"""How a command talks to a platform that runs: which one, and by which services."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TypeVar

from de_platform.cli.data_dir import chosen_data_dir
from de_platform.cli.global_flags import GlobalFlags, Surroundings, surroundings
from de_platform.config.container import Container

Result = TypeVar("Result")


def running_platform(flags: GlobalFlags | None) -> Surroundings:
    """Return the surroundings that the flags name; without a word about services, those of the default directory.

    Raises InvalidInput with every fault, and Unavailable when no platform runs there.
    """
    given = flags or GlobalFlags()
    if given.data_dir is None and given.mq is None and not given.db:
        settings = surroundings(given, find_instance=False).settings
        given = dataclasses.replace(given, data_dir=str(chosen_data_dir(settings)))
    return surroundings(given)


def with_services(around: Surroundings, action: Callable[[Container], Awaitable[Result]]) -> Result:
    """Run `action` with a container of the platform's services, each opened when it is resolved; close them."""
    from de_platform.cli.wiring import compose, make_logger, make_metrics  # noqa: PLC0415 - slow to import
    from de_platform.services.lifecycle import LifecycleManager  # noqa: PLC0415

    async def run() -> Result:
        log = make_logger(around)
        try:
            async with compose(
                around, log=log, lifecycle=LifecycleManager(log), metrics=make_metrics(around)
            ) as container:
                return await action(container)
        finally:
            await log.close()

    return asyncio.run(run())
