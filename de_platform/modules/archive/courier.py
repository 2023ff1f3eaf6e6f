"""Takes parcels from checkpoints into the archive."""

import asyncio

from de_platform.modules.archive.layout import encode_entry
from de_platform.modules.archive.parcels import Parcel, ParcelFile
from de_platform.pipeline.errors import Unavailable
from de_platform.services.clock.interface import Clock
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface

_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 5.0
_MAX_WAITING_BYTES = 128 * 1024 * 1024

SERVICE = "archive"


class Courier:
    """Delivers beside the consumer loop, so that a partition that fell quiet is archived, too.

    Whatever is taken rests in a durable checkpoint. So a delivery may be repeated by anyone at any time, a
    stale owner of the partition included: it writes the same bytes to the same paths.
    """

    def __init__(self, fs: FileSystemInterface, log: LoggingInterface, metrics: MetricsInterface, clock: Clock) -> None:
        self._fs = fs
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._waiting: dict[str, Parcel] = {}
        self._failure: Unavailable | None = None
        self._wake = asyncio.Event()
        self._is_stopping = False

    def take(self, name: str, parcel: Parcel) -> None:
        """Accept a parcel that a checkpoint holds under `name`."""
        self._waiting[name] = parcel
        self._wake.set()

    def still_has(self, name: str) -> bool:
        """Say whether a parcel is not in the archive yet."""
        return name in self._waiting

    def check_room(self) -> None:
        """Raise Unavailable when so much is waiting that no more may be cut."""
        waiting = sum(parcel.bytes for parcel in self._waiting.values())
        if waiting > _MAX_WAITING_BYTES:
            raise self._failure or Unavailable("archive", f"{waiting} bytes wait to be written")

    async def check_ready(self) -> None:
        """Return unless the last delivery failed. Raises Unavailable."""
        if self._failure is not None:
            raise self._failure

    async def run(self) -> None:
        """Deliver until `stop`, then once more what is left; what that cannot write waits in its checkpoint."""
        while not self._is_stopping:
            await self._wake.wait()
            self._wake.clear()
            await self._deliver_retrying()
        try:
            await self.deliver()
        except Unavailable as error:
            self._log.warn("files wait in the checkpoint", parcels=len(self._waiting), error=str(error))

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._is_stopping = True
        self._wake.set()

    async def deliver(self) -> None:
        """Write everything that is waiting. Raises Unavailable; what was written by then stays so."""
        for name, parcel in list(self._waiting.items()):
            for file in parcel.files:
                await self._deliver_file(file)
            self._waiting.pop(name, None)

    async def _deliver_retrying(self) -> None:
        delay = _FIRST_BACKOFF_SECONDS
        while self._waiting and not self._is_stopping:
            try:
                await self.deliver()
            except Unavailable as error:
                self._failure = error
                self._log.warn("archive cannot be written", error=str(error), retry_in_seconds=delay)
                await self._clock.sleep(delay)
                delay = min(delay * 2, _MAX_BACKOFF_SECONDS)
            else:
                self._failure = None

    async def _deliver_file(self, file: ParcelFile) -> None:
        """Effects in order: 1. the file, 2. its manifest entry. After a crash in between both are written again.

        A file that is listed is left alone: whoever changed it since, to erase a person's data say, had a reason.
        """
        if await self._fs.exists(file.entry_path):
            return
        await self._fs.write(file.entry.path, file.data)
        await self._fs.write(file.entry_path, encode_entry(file.entry))
        self._metrics.counter("rows_flushed_total", file.entry.records, service=SERVICE, table=file.entry.table.value)
