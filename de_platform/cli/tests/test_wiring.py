"""Services are composed from what was chosen, opened when asked for, and closed together."""

from pathlib import Path

import pytest

from de_platform.cli.choices import Choices
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.wiring import compose, make_logger, make_metrics
from de_platform.config.container import Container
from de_platform.config.settings import Origin, Settings, Source
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.topics import TOPICS
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.redis_cache import RedisCache
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.database.interface import DatabaseFactory
from de_platform.services.event_store.interface import EventStore
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.filesystem.s3_filesystem import S3FileSystem
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.logger.pretty_logger import PrettyLogger
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.noop_metrics import NoopMetrics
from de_platform.services.metrics.prometheus_metrics import PrometheusMetrics
from de_platform.services.secrets.interface import SecretsInterface


def around(choices: Choices, **values: str) -> Surroundings:
    settings = Settings.resolve(Source(origin=Origin.ENVIRONMENT, values=values))
    return Surroundings(choices=choices, settings=settings)


def composed(choices: Choices, opened: list[str] | None = None, **values: str) -> Container:
    return compose(
        around(choices, **values),
        log=MemoryLogger(),
        lifecycle=LifecycleManager(MemoryLogger()),
        metrics=NoopMetrics(),
        clock=MemoryClock(),
        on_open=lambda name, _check: opened.append(name) if opened is not None else None,
    )


@pytest.mark.parametrize(
    ("wanted", "flag"),
    [
        (MessageQueueInterface, "--mq"),
        (FileSystemInterface, "--fs"),
        (CheckpointStore, "--fs"),
        (CacheInterface, "--cache"),
        (DatabaseFactory, "--db"),
        (EventStore, "--db"),
    ],
)
async def test_service_that_was_not_chosen_names_its_flag_and_the_choices(wanted: type, flag: str) -> None:
    async with composed(Choices()) as container:
        with pytest.raises(InvalidInput, match="choose one of memory") as caught:
            await container.resolve(wanted)
    assert caught.value.errors[0].field == flag


async def test_services_tell_their_health_check_when_they_open() -> None:
    opened: list[str] = []
    async with composed(Choices(mq="memory", fs="memory", cache="memory"), opened) as container:
        await container.resolve(MessageQueueInterface)
        await container.resolve(CheckpointStore)
        await container.resolve(CacheInterface)
    assert opened == ["message_queue", "file_system", "cache"]


async def test_every_topic_exists_once_the_queue_is_open() -> None:
    async with composed(Choices(mq="memory")) as container:
        queue = await container.resolve(MessageQueueInterface)
        marks = await queue.watermarks([topic.name for topic in TOPICS])
    assert {partition.topic for partition in marks} == {topic.name for topic in TOPICS}


async def test_local_services_live_in_the_data_directory(tmp_path: Path) -> None:
    choices = Choices(mq="local", fs="local")
    async with composed(choices, DE_PLATFORM_DATA_DIR=str(tmp_path)) as container:
        await container.resolve(MessageQueueInterface)
        await (await container.resolve(FileSystemInterface)).write("a/b", b"x")
    assert (tmp_path / "log" / "queue.db").exists()
    assert (tmp_path / "files" / "a" / "b").read_bytes() == b"x"


async def test_local_service_without_a_place_names_the_setting() -> None:
    async with composed(Choices(fs="local")) as container:
        with pytest.raises(InvalidInput, match="FS_LOCAL_ROOT"):
            await container.resolve(FileSystemInterface)


async def test_secrets_are_the_settings() -> None:
    async with composed(Choices(), DB_POSTGRES_PASSWORD="hunter22") as container:
        secrets = await container.resolve(SecretsInterface)
    assert secrets.require("DB_POSTGRES_PASSWORD") == "hunter22"


def test_default_logger_masks_the_secrets_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    make_logger(around(Choices(), DB_POSTGRES_PASSWORD="hunter22")).error("refused hunter22")
    assert "hunter22" not in capsys.readouterr().err


def test_logger_and_metrics_have_defaults() -> None:
    assert isinstance(make_logger(around(Choices())), PrettyLogger)
    assert isinstance(make_metrics(around(Choices())), NoopMetrics)
    assert isinstance(make_metrics(around(Choices(metrics="prometheus"))), PrometheusMetrics)


@pytest.mark.parametrize("chosen", ["s3", "minio"])
async def test_files_of_an_object_store_are_opened_by_their_settings(chosen: str) -> None:
    async with composed(Choices(fs=chosen), FS_MINIO_ENDPOINT="127.0.0.1:1", FS_MINIO_SECURE="false") as container:
        assert isinstance(await container.resolve(FileSystemInterface), S3FileSystem)


async def test_redis_is_opened_by_its_url() -> None:
    async with composed(Choices(cache="redis"), CACHE_REDIS_URL="redis://127.0.0.1:1") as container:
        assert isinstance(await container.resolve(CacheInterface), RedisCache)


async def test_redis_without_a_url_says_what_to_set() -> None:
    async with composed(Choices(cache="redis")) as container:
        with pytest.raises(InvalidInput, match="CACHE_REDIS_URL"):
            await container.resolve(CacheInterface)
