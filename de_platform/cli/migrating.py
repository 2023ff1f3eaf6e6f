"""Brings the databases of some surroundings up to date, wherever they are."""

from de_platform.cli.global_flags import Surroundings
from de_platform.cli.wiring import compose, make_logger, make_metrics
from de_platform.services.database.interface import DatabaseFactory
from de_platform.services.database.migrations import migrate_all
from de_platform.services.lifecycle import LifecycleManager


async def migrate_databases(around: Surroundings) -> int:
    """Apply all missing migrations to the databases of these surroundings. Returns 0. Raises Unavailable."""
    log = make_logger(around)
    container = compose(around, log=log, lifecycle=LifecycleManager(log), metrics=make_metrics(around))
    async with container:
        await migrate_all(await container.resolve(DatabaseFactory))
    return 0
