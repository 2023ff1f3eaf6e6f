"""Run extract → transform* → load once.

Consumes: what the extractor yields.
Produces: what the loader stores, in batches.
Effects in order: 1. a batch is extracted and transformed, 2. the loader makes it durable, batch by batch; an
item that a step refuses ends the run and is named.
On crash: batches loaded so far stay; a loader that is to be run again must take the same batch twice.
"""

import sys
from contextlib import aclosing
from typing import TextIO

import msgspec

from de_platform.modules.base import Module, ModuleSettings
from de_platform.modules.batch_etl import worker
from de_platform.modules.batch_etl.data_stream import DataStream, Method
from de_platform.modules.batch_etl.steps import Extractor, Item, Loader, Transformer, build
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.logger.interface import LoggingInterface


class BatchEtlSettings(ModuleSettings, frozen=True, kw_only=True):
    """Which steps run, and how."""

    extractor: str
    extractor_params: dict[str, object]
    transformers: str
    transformers_params: list[dict[str, object]]
    transformers_method: Method
    transformers_workers: int
    loader: str
    loader_params: dict[str, object]
    loader_method: Method
    loader_workers: int
    batch_size: int
    dry_run: bool


class Summary(msgspec.Struct, kw_only=True):
    """Counts of a run, one JSON line on stdout."""

    extracted: int = 0
    transformed: int = 0
    """What the last transformer let pass."""
    loaded: int = 0


class BatchEtlModule(Module):
    """Builds the steps, chains them, counts."""

    def __init__(self, settings: BatchEtlSettings, log: LoggingInterface) -> None:
        self._settings = settings
        self.log = log
        self.out: TextIO = sys.stdout
        self._summary = Summary()

    async def validate(self) -> None:
        settings = self._settings
        faults = [
            FieldError(name, f"must be at least 1, was {value}")
            for name, value in (
                ("--batch-size", settings.batch_size),
                ("--transformers-workers", settings.transformers_workers),
                ("--loader-workers", settings.loader_workers),
            )
            if value < 1
        ]
        if len(settings.transformers_params) > len(self._paths()):
            faults.append(FieldError("--transformers-params", "has more objects than there are transformers"))
        if faults:
            raise InvalidInput(faults)

    async def execute(self) -> int:
        settings = self._settings
        loader = build(Loader, settings.loader, settings.loader_params)
        async with aclosing(self._loaded(self._batches(), loader)) as loaded:
            async for count in loaded:
                self._summary.loaded += count
        if not settings.dry_run:
            await loader.close()
        self.log.info("etl run ended", dry_run=settings.dry_run, **msgspec.structs.asdict(self._summary))
        self.out.write(msgspec.json.encode(self._summary).decode() + "\n")
        return 0

    def _batches(self) -> DataStream[list[Item]]:
        settings = self._settings
        extractor = build(Extractor, settings.extractor, settings.extractor_params)
        stream: DataStream[Item] = DataStream.of(extractor.extract(), settings.extractor).map(
            "counting", self._count_extracted
        )
        for position, path in enumerate(self._paths()):
            stream = self._transformed(stream, position, path)
        return stream.map("counting", self._count_transformed).batches(settings.batch_size)

    def _transformed(self, stream: DataStream[Item], position: int, path: str) -> DataStream[Item]:
        settings = self._settings
        given = settings.transformers_params
        parameters = given[position] if position < len(given) else {}
        transformer = build(Transformer, path, parameters)
        workers = settings.transformers_workers
        match settings.transformers_method:
            case Method.INLINE:
                return stream.map(path, transformer.transform).without_none()
            case Method.CONCURRENT:
                return stream.map_in_threads(path, transformer.transform, workers=workers).without_none()
            case Method.PARALLEL:
                prepare, transform = worker.functions(path, position, parameters)
                results = stream.map_in_processes(path, transform, workers=workers, initializer=prepare)
                return results.without_none()

    def _loaded(self, batches: DataStream[list[Item]], loader: Loader) -> DataStream[int]:
        async def load(batch: list[Item]) -> int:
            if self._settings.dry_run:
                return 0
            await loader.load(batch)
            return len(batch)

        concurrent = self._settings.loader_method is Method.CONCURRENT
        return batches.map_async(
            self._settings.loader, load, workers=self._settings.loader_workers if concurrent else 1
        )

    def _paths(self) -> list[str]:
        return [path.strip() for path in self._settings.transformers.split(",") if path.strip()]

    def _count_extracted(self, item: Item) -> Item:
        self._summary.extracted += 1
        return item

    def _count_transformed(self, item: Item) -> Item:
        self._summary.transformed += 1
        return item


module_class = BatchEtlModule
