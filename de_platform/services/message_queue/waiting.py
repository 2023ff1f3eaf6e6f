"""Wait for an event or for time, whichever comes first, on the platform's clock."""

import asyncio

from de_platform.services.clock.interface import Clock


async def wait_for_event(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Return when `event` is set or `seconds` have passed on `clock`."""
    if event.is_set():
        return
    happening = asyncio.ensure_future(event.wait())
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((happening, sleeping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        happening.cancel()
        sleeping.cancel()
        await asyncio.wait((happening, sleeping))
