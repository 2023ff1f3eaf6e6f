"""The store's endpoint as its clients see it: the protocol, and what it promises of inserts."""

import asyncio
import base64
import gzip
import socket
from collections.abc import AsyncGenerator
from io import BytesIO
from uuid import uuid4

import httpx
import pyarrow as pa
import pytest
from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database import store_request
from de_platform.services.database.chdb_server import StoreServer, listen
from de_platform.services.database.memory import throwaway_chdb_path

SECRET = "a secret"


@pytest.fixture
async def server() -> AsyncGenerator[StoreServer]:
    server = StoreServer(throwaway_chdb_path(), SECRET, threads=4)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(server: StoreServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", auth=("default", SECRET)) as http:
        yield http


@pytest.fixture
async def table(http: httpx.AsyncClient) -> AsyncGenerator[str]:
    name = f"t_{uuid4().hex}"
    await http.post("/", content=f"CREATE TABLE {name} (a Int64, b String) ENGINE = MergeTree ORDER BY a")
    yield name
    await http.post("/", content=f"DROP TABLE {name} SYNC")


async def count(http: httpx.AsyncClient, table: str) -> int:
    return int((await http.post("/", content=f"SELECT count() FROM {table}")).text)


def test_answers_are_sent_at_once() -> None:
    with listen(0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_ping_needs_no_secret(server: StoreServer) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{server.port}/ping")
    assert (answer.status_code, answer.text) == (200, "Ok.\n")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "guessed"},
        {"X-ClickHouse-User": "somebody", "X-ClickHouse-Key": SECRET},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer " + SECRET},
        {"Authorization": "Basic " + base64.b64encode(b"default:").decode()},
    ],
)
async def test_everything_else_needs_the_secret(server: StoreServer, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{server.port}/", content="SELECT 1", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["X-ClickHouse-Exception-Code"] == "516"
    assert SECRET not in answer.text


async def test_the_secret_may_come_in_headers_of_clickhouse(server: StoreServer) -> None:
    async with httpx.AsyncClient(headers={"X-ClickHouse-User": "default", "X-ClickHouse-Key": SECRET}) as http:
        assert (await http.post(f"http://127.0.0.1:{server.port}/", content="SELECT 1")).text == "1\n"


async def test_a_format_is_taken_from_statement_or_address(http: httpx.AsyncClient) -> None:
    assert (await http.get("/", params={"query": "SELECT 1 AS x FORMAT JSONEachRow"})).text == '{"x":1}\n'
    assert (await http.get("/", params={"query": "SELECT 1 AS x", "default_format": "CSVWithNames"})).text == '"x"\n1\n'


async def test_parameters_are_bound(http: httpx.AsyncClient) -> None:
    answer = await http.post("/", params={"param_x": "it's {x:String}"}, content="SELECT {x:String} FORMAT TSVRaw")
    assert answer.text == "it's {x:String}\n"


async def test_settings_hold_for_one_statement(http: httpx.AsyncClient) -> None:
    query = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    before = (await http.post("/", content=query)).text
    for _ in range(8):
        assert (await http.post("/", params={"max_block_size": "123"}, content=query)).text == "123\n"
    assert [(await http.post("/", content=query)).text for _ in range(8)] == [before] * 8


async def test_a_statement_cannot_change_settings_for_others(http: httpx.AsyncClient) -> None:
    for _ in range(8):
        await http.post("/", content="SET max_block_size = 77")
        await http.post("/", content="USE system")
    answer = await http.post("/", content="SELECT currentDatabase(), getSetting('max_block_size') = 77")
    assert answer.text == "default\t0\n"


async def test_settings_are_taken_back_when_one_of_them_is_refused(http: httpx.AsyncClient) -> None:
    for _ in range(8):
        answer = await http.post("/", params={"max_block_size": "77", "no_such_setting": "1"}, content="SELECT 1")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "115"
    answer = await http.post("/", content="SELECT getSetting('max_block_size') = 77")
    assert answer.text == "0\n"


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELECT * FROM nowhere", 404, "60"),
        ("NO SQL AT ALL", 400, "62"),
        ("SELECT throwIf(1)", 500, "395"),
        ("", 400, "62"),
    ],
)
async def test_errors_carry_their_code(http: httpx.AsyncClient, statement: str, status: int, code: str) -> None:
    answer = await http.post("/", content=statement)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.text.startswith(f"Code: {code}. ")


async def test_an_unknown_database_is_said_so(http: httpx.AsyncClient) -> None:
    answer = await http.post("/", params={"database": "no`where"}, content="SELECT 1")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "81")


@pytest.mark.parametrize(
    "params", [{"max threads": "1"}, {"default_format": "TSV x"}, {"query_id": "a\r\nX-Evil: 1"}, {"query": "\udcff"}]
)
async def test_what_would_stand_in_statements_or_headers_is_checked(
    http: httpx.AsyncClient, params: dict[str, str]
) -> None:
    encoded = httpx.QueryParams({name: value for name, value in params.items() if "\udcff" not in value})
    answer = await http.post(f"/?{encoded}" + ("&query=%FF" if "query" in params else ""), content="SELECT 1")
    assert answer.status_code == 400
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("with_query_in_address", [True, False])
@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("FORMAT JSONEachRow", b'{"a": 1, "b": "FORMAT x; --"}\n{"a": 2}'),
        ("(b, a) FORMAT CSV", b'"x\ny",1\n"z",2\n'),
        ("SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow", b'{"a": 1, "c": 1} {"a": 2}'),
        ("VALUES", b"(1, 'a'), (2, 'FORMAT b')"),
        ("SELECT number, 'FORMAT x' FROM numbers(2)", b""),
        ("SELECT number, format FROM (SELECT number, '' AS format FROM numbers(2))", b""),
    ],
)
async def test_rows_are_taken_in_any_format(
    http: httpx.AsyncClient, table: str, form: str, data: bytes, with_query_in_address: bool
) -> None:
    statement = f"INSERT INTO {table} {form}"
    if with_query_in_address:
        answer = await http.post("/", params={"query": statement}, content=data)
    else:
        answer = await http.post("/", content=statement.encode() + b"\n" + data)
    assert answer.status_code == 200, answer.text
    assert await count(http, table) == 2


async def test_binary_rows_begin_after_exactly_one_newline(http: httpx.AsyncClient, table: str) -> None:
    native = (
        await http.post("/", content="SELECT toInt64(number) AS a, '\n' AS b FROM numbers(10) FORMAT Native")
    ).content
    assert native.startswith(b"\x02\n"), "two columns, ten rows: the number of rows is a newline"
    await http.post("/", content=f"INSERT INTO {table} FORMAT Native\n".encode() + native)
    assert await count(http, table) == 10


async def test_arrow_goes_in_and_comes_out(http: httpx.AsyncClient, table: str) -> None:
    rows = pa.table({"a": [1, 2], "b": ["x", "y"]})
    file = BytesIO()
    with pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(rows)
    await http.post("/", params={"query": f"INSERT INTO {table} FORMAT Arrow"}, content=file.getvalue())
    answer = await http.post("/", content=f"SELECT * FROM {table} ORDER BY a FORMAT Arrow")
    assert pa.ipc.open_file(answer.content).read_all().to_pydict() == rows.to_pydict()


async def test_an_insert_of_no_rows_is_no_error(http: httpx.AsyncClient, table: str) -> None:
    answer = await http.post("/", params={"query": f"INSERT INTO {table} FORMAT JSONEachRow"}, content=b"")
    assert answer.status_code == 200, answer.text


async def test_a_failed_insert_leaves_no_row_and_no_file(http: httpx.AsyncClient, table: str) -> None:
    rows = b"\n".join(b'{"a": %d}' % number for number in range(70_000)) + b'\n{"a": "x"}'
    answer = await http.post("/", params={"query": f"INSERT INTO {table} FORMAT JSONEachRow"}, content=rows)
    assert answer.status_code == 500
    assert await count(http, table) == 0
    assert list((throwaway_chdb_path() / "de_platform_bodies").iterdir()) == []


@pytest.mark.parametrize("encoding", ["gzip", "lz4"])
async def test_compressed_rows_are_unpacked(http: httpx.AsyncClient, table: str, encoding: str) -> None:
    data = b'{"a": 1}'
    if encoding == "lz4":
        lz4 = pytest.importorskip("lz4.frame", reason="lz4 is not installed")
        packed = lz4.compress(data)
    else:
        packed = gzip.compress(data)
    query = {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}
    answer = await http.post("/", params=query, content=packed, headers={"Content-Encoding": encoding})
    assert answer.status_code == 200, answer.text
    assert await count(http, table) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "br"])
async def test_bodies_that_are_not_what_they_say_are_refused(http: httpx.AsyncClient, encoding: str) -> None:
    answer = await http.post("/", content=b"not packed", headers={"Content-Encoding": encoding})
    assert answer.status_code == 400


async def test_bodies_beyond_the_limit_are_refused(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_request, "MAX_BODY_BYTES", 1000)
    bomb = gzip.compress(b"SELECT 1" + b" " * 2000)
    answer = await http.post("/", content=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413


async def test_answers_are_compressed_on_request(http: httpx.AsyncClient) -> None:
    query = "SELECT number FROM numbers(1000)"
    plain = await http.post("/", content=query)
    packed = await http.post("/", params={"enable_http_compression": "1"}, content=query)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.text == plain.text


async def test_statements_run_at_the_same_time(http: httpx.AsyncClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(http.post("/", content="SELECT sleep(0.3)") for _ in range(4)))
    assert loop.time() - began < 4 * 0.3


async def test_stop_lets_a_running_insert_finish(server: StoreServer, http: httpx.AsyncClient, table: str) -> None:
    slow = f"INSERT INTO {table} SELECT number, '' FROM numbers(3) WHERE NOT sleepEachRow(0.1)"
    inserting = asyncio.create_task(http.post("/", content=slow))
    await asyncio.sleep(0.1)
    await server.stop()
    assert (await inserting).status_code == 200
    await server.start()
    async with httpx.AsyncClient(auth=("default", SECRET)) as again:
        answer = await again.post(f"http://127.0.0.1:{server.port}/", content=f"SELECT count() FROM {table}")
    assert answer.text == "3\n"


async def test_a_port_that_is_taken_is_an_error(server: StoreServer) -> None:
    with pytest.raises(OSError, match="in use"):
        await StoreServer(throwaway_chdb_path(), SECRET, server.port).start()


async def test_a_path_that_cannot_be_opened_is_unavailable(server: StoreServer) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        await StoreServer(throwaway_chdb_path().parent / "other", SECRET).start()


@pytest.fixture
async def client(server: StoreServer) -> AsyncGenerator[Client]:
    client = await asyncio.to_thread(get_client, host="127.0.0.1", port=server.port, password=SECRET)
    yield client
    await asyncio.to_thread(client.close)


async def test_the_clients_default_manners_are_understood(client: Client, table: str) -> None:
    """Sessions, compression, native blocks, types of tables: as a notebook of a user would do it."""
    await asyncio.to_thread(client.insert, table, [[1, "a"], [2, "b"]], ["a", "b"])
    found = await asyncio.to_thread(client.query, f"SELECT * FROM {table} ORDER BY a", settings={"max_threads": 1})
    assert found.result_rows == [(1, "a"), (2, "b")]
    assert await asyncio.to_thread(client.command, f"SELECT count() FROM {table}") == 2
    assert (await asyncio.to_thread(client.insert_arrow, table, pa.table({"a": [3], "b": ["c"]}))).written_rows == 1
