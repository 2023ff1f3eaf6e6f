"""Files on a real S3 server: the contract, conditional writes, large files, checkpoints, and a server that stalls.

Each test has a bucket of its own, so nothing has to be deleted that somebody else may be using.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.checkpoint_store.contract import CheckpointStoreContract
from de_platform.services.checkpoint_store.file_checkpoint_store import FileCheckpointStore
from de_platform.services.filesystem.contract import FileSystemContract
from de_platform.services.filesystem.s3_filesystem import PART_BYTES, S3FileSystem
from de_platform.services.filesystem.s3_settings import S3Settings
from de_platform.services.secrets.env_secrets import EnvSecrets
from scripts.infra_servers.server import Server
from tests.helpers.real_servers import RealServers

pytestmark = pytest.mark.real_infra


@pytest.fixture
def bucket(infra: RealServers) -> S3Settings:
    return msgspec.structs.replace(infra.s3, bucket=f"test-{uuid4().hex}")


@pytest.fixture
def files(bucket: S3Settings) -> S3FileSystem:
    return S3FileSystem(bucket)


@pytest.fixture
def server(private_server: Callable[[str], Server]) -> Server:
    return private_server("s3")


@pytest.fixture
def own_files(server: Server) -> S3FileSystem:
    return S3FileSystem(own_settings(server))


def own_settings(server: Server) -> S3Settings:
    return S3Settings.from_secrets(EnvSecrets(server.env()))


class TestS3FileSystem(FileSystemContract):
    pass


class TestCheckpointsOnS3(CheckpointStoreContract):
    @pytest.fixture
    def store(self, files: S3FileSystem) -> FileCheckpointStore:
        return FileCheckpointStore(files)

    @pytest.fixture
    def another(self, bucket: S3Settings) -> FileCheckpointStore:
        return FileCheckpointStore(S3FileSystem(bucket))


async def test_of_many_creators_one_wins(bucket: S3Settings) -> None:
    creators = [S3FileSystem(bucket) for _ in range(8)]
    outcomes = await asyncio.gather(*(files.create("a", str(i).encode()) for i, files in enumerate(creators)))
    assert outcomes.count(True) == 1
    assert await creators[0].read("a") == str(outcomes.index(True)).encode()


async def test_of_many_creators_of_the_same_content_one_wins(bucket: S3Settings) -> None:
    outcomes = await asyncio.gather(*(S3FileSystem(bucket).create("a", b"same") for _ in range(8)))
    assert outcomes.count(True) == 1


async def test_many_writers_may_make_the_bucket_at_once(bucket: S3Settings) -> None:
    await asyncio.gather(*(S3FileSystem(bucket).write(str(number), b"") for number in range(8)))
    assert await S3FileSystem(bucket).list("") == [str(number) for number in range(8)]


async def test_a_bucket_in_another_region_is_made_there(bucket: S3Settings) -> None:
    files = S3FileSystem(msgspec.structs.replace(bucket, region="eu-west-1"))
    await files.write("a", b"x")
    assert await files.read("a") == b"x"


async def test_a_file_of_several_parts_comes_back_whole(files: S3FileSystem) -> None:
    data = random.Random(7).randbytes(3 * PART_BYTES + 12_345)
    await files.write("large", data)
    assert hashlib.sha256(await files.read("large")).digest() == hashlib.sha256(data).digest()


async def test_more_files_than_a_page_holds_are_listed(files: S3FileSystem) -> None:
    names = [f"d/{number:04d}" for number in range(1_050)]
    for start in range(0, len(names), 50):
        await asyncio.gather(*(files.write(name, b"") for name in names[start : start + 50]))
    assert await files.list("d/") == names


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["C"], include_characters=" %#?*+~\\&<>'\"|^`{}[]"), min_size=1))
async def test_a_name_is_listed_as_it_was_written_or_refused(bucket: S3Settings, name: str) -> None:
    files = S3FileSystem(msgspec.structs.replace(bucket, bucket=f"test-{uuid4().hex}"))
    try:
        await files.write(f"d/{name}", name.encode())
    except InvalidInput:
        assert await files.list("d/") == []
    else:
        assert await files.list("d/") == [f"d/{name}"]
        assert await files.read(f"d/{name}") == name.encode()


@pytest.mark.parametrize("path", ["x" * 1025, ".probe", "new\nline", "\x7f"])
async def test_a_path_that_cannot_be_an_object_is_invalid(files: S3FileSystem, path: str) -> None:
    with pytest.raises(InvalidInput):
        await files.write(path, b"")


async def test_an_absent_bucket_holds_no_files(files: S3FileSystem) -> None:
    assert await files.list("") == []
    assert not await files.exists("a")
    assert not await files.delete("a")
    with pytest.raises(FileNotFoundError):
        await files.read("a")


async def test_a_server_that_is_not_there_is_unavailable_and_secrets_stay_unsaid() -> None:
    files = S3FileSystem(S3Settings(endpoint="http://127.0.0.1:1", access_key="a", secret_key="hunter22", bucket="b"))
    with pytest.raises(Unavailable, match="file system") as caught:
        await files.write("a", b"")
    assert "hunter22" not in str(caught.value) + repr(files._store) + repr(files._settings)


async def test_a_frozen_server_is_unavailable_within_seconds_and_well_afterwards(
    own_files: S3FileSystem, server: Server
) -> None:
    await own_files.health_check()
    server.pause()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer within"):
        await own_files.health_check()
    assert time.monotonic() - began < 3
    server.resume()
    await own_files.health_check()


async def test_goes_on_after_the_server_was_started_again(own_files: S3FileSystem, server: Server) -> None:
    await own_files.write("a", b"before")
    server.kill()
    with pytest.raises(Unavailable):
        await own_files.health_check()
    server.start()
    await own_files.health_check()
    await own_files.write("a", b"after")
    assert await own_files.read("a") == b"after"
