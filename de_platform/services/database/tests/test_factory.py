from collections.abc import Mapping
from pathlib import Path

import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.database.chdb_engine import ChdbDatabase
from de_platform.services.database.clickhouse import ClickHouseDatabase
from de_platform.services.database.embedded import EmbeddedDatabase
from de_platform.services.database.factory import NamedDatabaseFactory
from de_platform.services.database.memory import MemoryAnalyticalDatabase, MemoryRelationalDatabase
from de_platform.services.database.migrations import migrate_all
from de_platform.services.database.postgres import PostgresDatabase
from de_platform.services.database.postgres_connection import connection_string
from de_platform.services.database.settings import ClickHouseSettings, PostgresSettings, SslMode
from de_platform.services.secrets.env_secrets import EnvSecrets


def factory(environ: Mapping[str, str] | None = None, **implementations: str) -> NamedDatabaseFactory:
    return NamedDatabaseFactory(implementations, EnvSecrets(environ or {}))


def settings_of(database: object) -> PostgresSettings | ClickHouseSettings:
    assert isinstance(database, PostgresDatabase | ClickHouseDatabase)
    return database.settings


def test_events_are_in_clickhouse_and_all_else_in_postgres_by_default() -> None:
    assert isinstance(factory().get("events"), ClickHouseDatabase)
    assert isinstance(factory().get("alerts"), PostgresDatabase)


@pytest.mark.parametrize(
    ("implementation", "expected"),
    [
        ("postgres", PostgresDatabase),
        ("clickhouse", ClickHouseDatabase),
        ("embedded", EmbeddedDatabase),
        ("chdb", ChdbDatabase),
        ("memory", MemoryRelationalDatabase),
    ],
)
def test_a_name_is_what_was_chosen_for_it(implementation: str, expected: type, tmp_path: Path) -> None:
    made = factory({"DE_PLATFORM_DATA_DIR": str(tmp_path)}, things=implementation).get("things")
    assert type(made) is expected


def test_nothing_is_connected_before_it_is_used() -> None:
    assert not factory().get("alerts").is_connected


def test_names_with_equal_settings_share_one_pool() -> None:
    shared = factory({"DB_AUTH_DATABASE": "auth"})
    assert shared.get("alerts") is shared.get("warehouse")
    assert shared.get("auth") is not shared.get("alerts")


def test_a_names_own_settings_win_over_its_servers_part_by_part() -> None:
    environ = {
        "DB_POSTGRES_HOST": "/run/postgres",
        "DB_POSTGRES_PASSWORD": "shared",
        "DB_CLIENT_CONFIG_PASSWORD": "own",
        "DB_CLIENT_CONFIG_PORT": "5433",
    }
    assert settings_of(factory(environ).get("client_config")) == PostgresSettings(
        host="/run/postgres", port=5433, user="de_platform", password="own", database="de_platform"
    )


def test_clickhouse_has_settings_of_its_own() -> None:
    environ = {"DB_POSTGRES_HOST": "postgres", "DB_CLICKHOUSE_HOST": "clickhouse", "DB_EVENTS_USER": "writer"}
    assert settings_of(factory(environ).get("events")) == ClickHouseSettings(host="clickhouse", user="writer")


def test_tls_of_postgres_is_as_its_settings_say() -> None:
    environ = {"DB_POSTGRES_SSLMODE": "verify-full", "DB_ALERTS_SSLROOTCERT": "/ca.pem"}
    found = settings_of(factory(environ).get("alerts"))
    assert isinstance(found, PostgresSettings)
    assert (found.sslmode, found.sslrootcert) == (SslMode.VERIFY_FULL, "/ca.pem")
    assert "sslmode=verify-full sslrootcert=/ca.pem" in connection_string(found)


def test_tls_of_clickhouse_is_as_its_settings_say() -> None:
    environ = {"DB_CLICKHOUSE_SECURE": "true", "DB_CLICKHOUSE_VERIFY": "false", "DB_EVENTS_CA_CERT": "/ca.pem"}
    found = settings_of(factory(environ).get("events"))
    assert found == ClickHouseSettings(secure=True, verify=False, ca_cert="/ca.pem")


def test_a_statement_may_take_as_long_as_its_settings_say() -> None:
    environ = {"DB_POSTGRES_ANSWER_TIMEOUT_SECONDS": "0.5", "DB_CLICKHOUSE_ANSWER_TIMEOUT_SECONDS": "900"}
    made = factory(environ)
    assert settings_of(made.get("alerts")).answer_timeout_seconds == 0.5
    assert settings_of(made.get("events")).answer_timeout_seconds == 900


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_EVENTS_SECURE", "perhaps"),
        ("DB_EVENTS_INSERT_QUORUM", "most"),
        ("DB_EVENTS_ANSWER_TIMEOUT_SECONDS", "0"),
        ("DB_ALERTS_SSLMODE", "always"),
        ("DB_ALERTS_PORT", "65536"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name}.*{value}"):
        factory({name: value}).get("events" if "EVENTS" in name else "alerts")


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="events"):
        factory().relational("events")
    with pytest.raises(InvalidInput, match="alerts"):
        factory().analytical("alerts")


def test_an_unknown_implementation_is_refused() -> None:
    with pytest.raises(InvalidInput, match="oracle"):
        factory(alerts="oracle")


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="DB_ALERTS_PORT"):
        factory({"DB_ALERTS_PORT": "http"}).get("alerts")


def test_embedded_engines_need_a_data_directory() -> None:
    with pytest.raises(InvalidInput, match="DE_PLATFORM_DATA_DIR"):
        factory(alerts="embedded").get("alerts")


async def test_memory_databases_have_the_whole_schema_and_are_gone_afterwards() -> None:
    made = factory(events="memory", alerts="memory", warehouse="memory")
    await migrate_all(made)
    events = made.analytical("events")
    assert await events.fetch_one("SELECT count() AS n FROM orders") == {"n": 0}
    assert await made.relational("alerts").fetch_one("SELECT count(*) AS n FROM alerts") == {"n": 0}
    await made.disconnect_all()
    assert not events.is_connected
    assert isinstance(made.get("alerts"), MemoryRelationalDatabase)


async def test_memory_databases_of_two_factories_do_not_meet() -> None:
    first, second = factory(events="memory"), factory(events="memory")
    await first.get("events").execute("CREATE TABLE mine (x UInt8) ENGINE = Memory")
    tables = await second.get("events").fetch_all("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert tables == []
    await first.disconnect_all()
    await second.disconnect_all()


def test_throwaway_databases_are_what_they_say() -> None:
    assert isinstance(factory(events="memory").analytical("events"), MemoryAnalyticalDatabase)
