"""How the settings of the Kafka log become those of its clients."""

import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.interface import StartAt
from de_platform.services.message_queue.kafka_queue import KafkaQueue
from de_platform.services.message_queue.kafka_settings import KafkaSettings
from de_platform.services.secrets.env_secrets import EnvSecrets

SERVERS = {"MQ_KAFKA_BOOTSTRAP_SERVERS": "one:9092,two:9092"}


def settings(**more: str) -> KafkaSettings:
    return KafkaSettings.from_secrets(EnvSecrets(SERVERS | more))


def test_a_server_must_be_named() -> None:
    with pytest.raises(InvalidInput, match="MQ_KAFKA_BOOTSTRAP_SERVERS"):
        KafkaSettings.from_secrets(EnvSecrets({}))


def test_names_there_begin_with_what_is_set_and_come_back_without() -> None:
    found = settings(MQ_KAFKA_GROUP_ID="prod-", MQ_KAFKA_TOPIC_PREFIX="eu.")
    assert found.group_there("algos") == "prod-algos"
    assert found.topic_there("alerts") == "eu.alerts"
    assert found.topic_here("eu.alerts") == "alerts"


def test_without_prefixes_names_are_the_same_there() -> None:
    assert settings().membership("algos")["group.id"] == "algos"
    assert settings().topic_there("alerts") == "alerts"


def test_groups_begin_at_the_first_record_unless_told_otherwise() -> None:
    assert settings().start_at is StartAt.EARLIEST
    assert settings(MQ_KAFKA_AUTO_OFFSET_RESET="latest").start_at is StartAt.LATEST


def test_offsets_are_committed_by_nobody_but_the_platform() -> None:
    options = settings().membership("algos")
    assert (options["enable.auto.commit"], options["enable.auto.offset.store"]) == (False, False)


def test_readers_see_only_what_is_committed() -> None:
    assert settings().membership("algos")["isolation.level"] == "read_committed"


def test_a_poll_may_take_at_least_as_long_as_a_session() -> None:
    options = settings(MQ_KAFKA_SESSION_TIMEOUT_SECONDS="60", MQ_KAFKA_MAX_POLL_INTERVAL_SECONDS="7.5").membership(
        "algos"
    )
    assert (options["session.timeout.ms"], options["max.poll.interval.ms"]) == (60_000, 60_000)


def test_security_reaches_every_client() -> None:
    found = settings(MQ_KAFKA_SECURITY_PROTOCOL="sasl_ssl", MQ_KAFKA_SASL_USERNAME="platform")
    assert found.connection()["security.protocol"] == "sasl_ssl"
    assert found.membership("algos")["sasl.username"] == "platform"


async def test_a_file_of_authorities_that_is_not_there_is_the_operators_fault() -> None:
    found = settings(MQ_KAFKA_SECURITY_PROTOCOL="ssl", MQ_KAFKA_SSL_CA_LOCATION="/nowhere/ca.pem")
    with pytest.raises(InvalidInput, match=r"ssl\.ca\.location"):
        await KafkaQueue(found, SystemClock()).connect()


def test_passwords_do_not_show() -> None:
    assert "hush" not in repr(settings(MQ_KAFKA_SASL_PASSWORD="hush"))


def test_the_clusters_default_decides_about_copies_unless_a_number_is_set() -> None:
    assert settings().replication_factor is None
    assert settings(MQ_KAFKA_REPLICATION_FACTOR="3").replication_factor == 3
