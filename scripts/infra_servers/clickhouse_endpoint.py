"""The process behind `clickhouse`: serves the engine at `ENDPOINT_PATH` until it is told to end."""

import asyncio
import os
import signal
from pathlib import Path

from de_platform.services.database.chdb_server import StoreServer


async def serve() -> None:
    """Serve until SIGTERM or SIGINT, then let running statements finish. Raises Unavailable, OSError."""
    told = os.environ
    server = StoreServer(Path(told["ENDPOINT_PATH"]), told["ENDPOINT_PASSWORD"], int(told["ENDPOINT_PORT"]))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await server.start()
    await ended.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve())
