"""The orderly end of a process: who wants to know that it is over, and in which order things close."""

import asyncio
from collections.abc import Awaitable, Callable

from de_platform.services.logger.interface import LoggingInterface

Hook = Callable[[], Awaitable[None]]

DRAIN_TIMEOUT_SECONDS = 30.0


class LifecycleManager:
    """Shared by all modules of a process. Hooks run last-in first-out, each awaited, all within the drain timeout."""

    def __init__(self, log: LoggingInterface, *, drain_timeout_seconds: float = DRAIN_TIMEOUT_SECONDS) -> None:
        self._log = log
        self._drain_timeout_seconds = drain_timeout_seconds
        self._hooks: list[tuple[str, Hook]] = []
        self._stopping = asyncio.Event()

    @property
    def is_shutting_down(self) -> bool:
        """True from the first request to stop on."""
        return self._stopping.is_set()

    def on_shutdown(self, hook: Hook, *, name: str | None = None) -> None:
        """Register what must happen before the process ends."""
        self._hooks.append((name or getattr(hook, "__qualname__", repr(hook)), hook))

    def request_shutdown(self) -> None:
        """Ask everything to stop taking in work. Safe to call again and from a signal handler on the loop."""
        self._stopping.set()

    async def wait_for_shutdown(self) -> None:
        """Return once shutdown was requested."""
        await self._stopping.wait()

    async def run_hooks(self) -> bool:
        """Run the hooks; returns False if one failed or time ran out. The others still run."""
        self.request_shutdown()
        orderly = True
        deadline = asyncio.get_running_loop().time() + self._drain_timeout_seconds
        while self._hooks:
            name, hook = self._hooks.pop()
            try:
                async with asyncio.timeout_at(deadline):
                    await hook()
            except Exception as error:  # noqa: BLE001 - process boundary: one hook must not keep the next from running
                orderly = False
                self._log.error("shutdown hook failed", hook=name, error=repr(error))
        return orderly
