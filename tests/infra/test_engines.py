"""Each real server starts, answers its clients, survives what is done to it, and goes down.

Each test has servers of its own; what they are made of is fetched once.
"""

import http.client
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import clickhouse_connect
import psycopg
import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from scripts.infra_servers.server import Server
from tests.helpers.fault_proxy import FaultProxy

pytestmark = pytest.mark.real_infra

PATIENCE_SECONDS = 30.0
Start = Callable[[str], Server]


def asked(server: Server, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    unchecked = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    try:
        connection.request(method, path, body, {"Authorization": unchecked})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def postgres(server: Server) -> psycopg.Connection[tuple[object, ...]]:
    env = server.env()
    return psycopg.connect(
        host=env["DB_POSTGRES_HOST"],
        port=env["DB_POSTGRES_PORT"],
        user=env["DB_POSTGRES_USER"],
        password=env["DB_POSTGRES_PASSWORD"],
        dbname=env["DB_POSTGRES_DATABASE"],
        autocommit=True,
    )


def clickhouse(server: Server) -> clickhouse_connect.driver.Client:
    env = server.env()
    return clickhouse_connect.get_client(
        host=env["DB_CLICKHOUSE_HOST"],
        port=int(env["DB_CLICKHOUSE_PORT"]),
        username=env["DB_CLICKHOUSE_USER"],
        password=env["DB_CLICKHOUSE_PASSWORD"],
    )


def create_topic(bootstrap: str) -> str:
    topic = f"topic-{uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(PATIENCE_SECONDS)
    return topic


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    """Return when the broker has acknowledged it."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "compression.type": "lz4"})
    producer.produce(topic, value)
    assert producer.flush(PATIENCE_SECONDS) == 0


def consumed(bootstrap: str, topic: str) -> bytes | None:
    group = {"group.id": uuid4().hex, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bootstrap, **group})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(PATIENCE_SECONDS)
        return message.value() if message is not None else None
    finally:
        consumer.close()


@pytest.mark.parametrize("name", ["postgres", "redis", "kafka", "s3", "clickhouse", "prometheus"])
def test_paused_server_is_silent_until_it_is_resumed(name: str, private_server: Start) -> None:
    server = private_server(name)
    server.pause()
    silent = not server.answers()
    server.resume()
    server.wait_until_it_answers()
    server.stop()
    assert (silent, server.is_running, server.answers()) == (True, False, False)


def test_postgres_keeps_its_rows_over_a_restart(private_server: Start) -> None:
    server = private_server("postgres")
    with postgres(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS id")
    server.restart()
    with postgres(server) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(7,)]


def test_postgres_keeps_its_rows_over_a_kill(private_server: Start) -> None:
    server = private_server("postgres")
    with postgres(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS id")
        server.kill()
    server.start()
    with postgres(server) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(7,)]


def test_postgres_asks_for_a_password(private_server: Start) -> None:
    server = private_server("postgres")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", password="guess", dbname="postgres")


def test_redis_forgets_its_keys_over_a_restart(private_server: Start) -> None:
    server = private_server("redis")
    with redis.Redis.from_url(server.env()["CACHE_REDIS_URL"]) as client:
        client.set("key", "value")
    server.restart()
    with redis.Redis.from_url(server.env()["CACHE_REDIS_URL"]) as client:
        assert client.get("key") is None


def test_kafka_keeps_its_records_over_a_restart(private_server: Start) -> None:
    server = private_server("kafka")
    bootstrap = server.env()["MQ_KAFKA_BOOTSTRAP_SERVERS"]
    topic = create_topic(bootstrap)
    produce(bootstrap, topic, b"kept")
    server.restart()
    assert consumed(bootstrap, topic) == b"kept"


def test_kafka_keeps_its_records_over_a_kill(private_server: Start) -> None:
    server = private_server("kafka")
    bootstrap = server.env()["MQ_KAFKA_BOOTSTRAP_SERVERS"]
    topic = create_topic(bootstrap)
    produce(bootstrap, topic, b"kept")
    server.kill()
    server.start()
    assert consumed(bootstrap, topic) == b"kept"


def test_kafka_creates_no_topic_by_itself(infra) -> None:
    consumer = Consumer({"bootstrap.servers": infra.kafka, "group.id": uuid4().hex})
    try:
        consumer.subscribe([topic := f"misspelt-{uuid4().hex}"])
        with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
            raise KafkaException(consumer.poll(PATIENCE_SECONDS).error())
        assert topic not in AdminClient({"bootstrap.servers": infra.kafka}).list_topics(timeout=PATIENCE_SECONDS).topics
    finally:
        consumer.close()


def test_clients_of_a_proxied_kafka_never_go_past_the_proxy(private_server: Start) -> None:
    server = private_server("kafka")
    bootstrap = f"127.0.0.1:{server.port_of('proxy')}"
    with FaultProxy(server.port_of("proxied"), server.port_of("proxy")) as proxy:
        topic = create_topic(bootstrap)
        proxy.cut()
        producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
        producer.produce(topic, b"held back")
        waiting = producer.flush(1.0)
        proxy.heal()
        assert (waiting, producer.flush(PATIENCE_SECONDS)) == (1, 0)


def test_s3_has_its_bucket_after_a_restart(private_server: Start) -> None:
    server = private_server("s3")
    bucket = server.env()["FS_MINIO_BUCKET"]
    server.restart()
    stored = asked(server, f"/{bucket}/file", "PUT", b"content")[0]
    assert (stored, asked(server, f"/{bucket}/file")) == (200, (200, b"content"))


def test_clickhouse_keeps_its_rows_over_a_restart(private_server: Start) -> None:
    server = private_server("clickhouse")
    with clickhouse(server) as client:
        client.command("CREATE TABLE kept (id UInt8) ENGINE = MergeTree ORDER BY id")
        client.command("INSERT INTO kept VALUES (7)")
    server.restart()
    with clickhouse(server) as client:
        assert client.query("SELECT id FROM kept").result_rows == [(7,)]


def test_clickhouse_keeps_its_rows_over_a_kill(private_server: Start) -> None:
    server = private_server("clickhouse")
    with clickhouse(server) as client:
        client.command("CREATE TABLE kept (id UInt8) ENGINE = MergeTree ORDER BY id")
        client.command("INSERT INTO kept VALUES (7)")
    server.kill()
    server.start()
    with clickhouse(server) as client:
        assert client.query("SELECT id FROM kept").result_rows == [(7,)]


def test_prometheus_scrapes_what_is_put_into_its_folder(private_server: Start) -> None:
    server = private_server("prometheus")
    server.targets.joinpath("itself.json").write_text(f'[{{"targets": ["127.0.0.1:{server.port}"]}}]')
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b'"1"]' not in asked(server, "/api/v1/query?query=up")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_servers_of_one_kind_do_not_meet(infra, tmp_path: Path) -> None:
    first, second = (infra.private("redis", tmp_path / name) for name in ("first", "second"))
    try:
        assert first.port != second.port
    finally:
        first.kill()
        second.kill()
