"""What every SQL database does, by kind; implementations subclass and provide `database`, connected and empty."""

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow
import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.database.interface import AnalyticalDatabase, DatabaseError, RelationalDatabase

INSTANT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)


class Rollback(Exception):
    """Raised inside a transaction to end it."""


async def insert_and_roll_back(database: RelationalDatabase, table: str, name: str) -> None:
    async with database.transaction() as transaction:
        await transaction.bulk_insert(table, [{"id": name}])
        raise Rollback


class RelationalDatabaseContract:
    """PostgreSQL, wherever it runs."""

    @pytest.fixture
    async def table(self, database: RelationalDatabase) -> AsyncGenerator[str]:
        await database.execute(
            "CREATE TABLE things (id text PRIMARY KEY, amount numeric, at timestamptz, on_day date, details jsonb)"
        )
        yield "things"
        await database.execute("DROP TABLE things")

    async def test_values_come_back_as_they_were_stored(self, database: RelationalDatabase, table: str) -> None:
        row = {
            "id": "a",
            "amount": Decimal("123456789012345678.123456789012345678"),
            "at": INSTANT,
            "on_day": date(2026, 3, 29),
            "details": {"list": [1, {"deep": None}], "text": "ü"},
        }
        await database.insert_one(table, row)
        assert await database.fetch_all(f"SELECT * FROM {table}") == [row]

    async def test_instants_are_utc(self, database: RelationalDatabase) -> None:
        row = await database.fetch_one("SELECT timestamptz '2026-03-29T03:30:00+02:00' AS at")
        assert row is not None
        assert row["at"].isoformat() == "2026-03-29T01:30:00+00:00"

    async def test_parameters_are_never_part_of_the_text(self, database: RelationalDatabase, table: str) -> None:
        name = "x'; DROP TABLE things; --"
        await database.execute(f"INSERT INTO {table} (id) VALUES (%(id)s)", {"id": name})
        assert await database.fetch_all(f"SELECT id FROM {table} WHERE id = %(id)s", {"id": name}) == [{"id": name}]

    async def test_list_parameters_are_arrays(self, database: RelationalDatabase, table: str) -> None:
        await database.bulk_insert(table, [{"id": name} for name in "abc"])
        found = await database.fetch_all(
            f"SELECT id FROM {table} WHERE id = ANY(%(ids)s) ORDER BY id", {"ids": ["c", "a", "z"]}
        )
        assert found == [{"id": "a"}, {"id": "c"}]

    async def test_mapping_parameters_are_jsonb(self, database: RelationalDatabase) -> None:
        assert await database.fetch_one("SELECT %(d)s ->> 'k' AS v", {"d": {"k": "w"}}) == {"v": "w"}

    async def test_lists_go_into_jsonb_columns(self, database: RelationalDatabase, table: str) -> None:
        await database.insert_one(table, {"id": "a", "details": [1, "two"]})
        assert await database.fetch_one(f"SELECT details FROM {table}") == {"details": [1, "two"]}

    async def test_no_row_is_none(self, database: RelationalDatabase, table: str) -> None:
        assert await database.fetch_one(f"SELECT * FROM {table}") is None

    async def test_execute_says_how_many_rows_it_touched(self, database: RelationalDatabase, table: str) -> None:
        await database.bulk_insert(table, [{"id": str(number)} for number in range(7)])
        assert await database.execute(f"DELETE FROM {table} WHERE id < '5'") == 5

    async def test_bulk_insert_says_how_many(self, database: RelationalDatabase, table: str) -> None:
        rows = [{"id": str(number), "at": INSTANT, "details": {"n": number}, "amount": None} for number in range(1000)]
        assert await database.bulk_insert(table, rows) == 1000
        assert await database.fetch_one(f"SELECT count(*) AS n FROM {table}") == {"n": 1000}

    async def test_bulk_insert_of_nothing_inserts_nothing(self, database: RelationalDatabase, table: str) -> None:
        assert await database.bulk_insert(table, []) == 0

    async def test_bulk_insert_stores_all_or_none(self, database: RelationalDatabase, table: str) -> None:
        with pytest.raises(DatabaseError):
            await database.bulk_insert(table, [{"id": "a"}, {"id": "b"}, {"id": "a"}])
        assert await database.fetch_all(f"SELECT * FROM {table}") == []

    async def test_a_broken_constraint_names_its_code(self, database: RelationalDatabase, table: str) -> None:
        await database.insert_one(table, {"id": "a"})
        with pytest.raises(DatabaseError) as caught:
            await database.insert_one(table, {"id": "a"})
        assert caught.value.code == "23505"

    async def test_bad_sql_is_a_database_error(self, database: RelationalDatabase) -> None:
        with pytest.raises(DatabaseError, match="nowhere"):
            await database.fetch_all("SELECT * FROM nowhere")

    async def test_a_transaction_commits_at_its_end(self, database: RelationalDatabase, table: str) -> None:
        async with database.transaction() as transaction:
            await transaction.insert_one(table, {"id": "a"})
            assert await database.fetch_all(f"SELECT id FROM {table}") == []
        assert await database.fetch_all(f"SELECT id FROM {table}") == [{"id": "a"}]

    async def test_an_exception_rolls_a_transaction_back(self, database: RelationalDatabase, table: str) -> None:
        with pytest.raises(Rollback):
            await insert_and_roll_back(database, table, "a")
        assert await database.fetch_all(f"SELECT id FROM {table}") == []

    async def test_a_transaction_within_a_transaction_is_undone_alone(
        self, database: RelationalDatabase, table: str
    ) -> None:
        async with database.transaction() as outer:
            await outer.insert_one(table, {"id": "outer"})
            with pytest.raises(Rollback):
                await insert_and_roll_back(outer, table, "inner")
        assert await database.fetch_all(f"SELECT id FROM {table}") == [{"id": "outer"}]

    async def test_a_tenant_is_known_until_the_end_of_its_transaction(self, database: RelationalDatabase) -> None:
        current = "SELECT coalesce(current_setting('app.tenant_id', true), '') AS tenant_id"
        async with database.tenant_transaction(TenantScope.of("acme")) as transaction:
            assert await transaction.fetch_one(current) == {"tenant_id": "acme"}
        async with database.transaction() as transaction:
            assert await transaction.fetch_one(current) == {"tenant_id": ""}

    async def test_is_well_while_connected(self, database: RelationalDatabase) -> None:
        await database.health_check()
        assert database.is_connected

    async def test_is_unavailable_after_disconnect_until_connected_again(self, database: RelationalDatabase) -> None:
        await database.disconnect()
        await database.disconnect()
        assert not database.is_connected
        with pytest.raises(Unavailable):
            await database.health_check()
        await database.connect()
        await database.connect()
        await database.health_check()


class AnalyticalDatabaseContract:
    """The ClickHouse engine, wherever it runs."""

    @pytest.fixture
    async def table(self, database: AnalyticalDatabase) -> AsyncGenerator[str]:
        await database.execute(
            "CREATE TABLE things (id String, amount Decimal(38, 18), price Nullable(Decimal(38, 18)),"
            " at DateTime64(6, 'UTC'), on_day Date, details String) ENGINE = MergeTree ORDER BY id"
        )
        yield "things"
        await database.execute("DROP TABLE things")

    async def test_values_come_back_as_they_were_stored(self, database: AnalyticalDatabase, table: str) -> None:
        row = {
            "id": "ü'\\\n",
            "amount": Decimal("12345678901234567890.123456789012345678"),
            "price": None,
            "at": INSTANT,
            "on_day": date(2026, 3, 29),
            "details": "",
        }
        await database.insert_one(table, row)
        assert await database.fetch_all(f"SELECT * FROM {table}") == [row]

    async def test_nested_values_are_stored_as_json(self, database: AnalyticalDatabase, table: str) -> None:
        await database.bulk_insert(
            table, [{"id": "a", "details": {"list": [1, None]}}, {"id": "b", "details": ["x", {"y": 1.5}]}]
        )
        found = await database.fetch_all(f"SELECT details FROM {table} ORDER BY id")
        assert found == [{"details": '{"list":[1,null]}'}, {"details": '["x",{"y":1.5}]'}]

    async def test_json_rows_are_stored_as_they_are(self, database: AnalyticalDatabase, table: str) -> None:
        rows = [
            b'{"id": "a", "amount": 0.000000000000000001, "at": "2026-03-29T03:30:00.123456+02:00", "surplus": [1]}',
            b'{"id": "b", "amount": 12345678901234567890.5, "at": "2026-03-29T01:30:00Z", "details": {"k": [1, 2]}}',
        ]
        await database.insert_json_rows(table, rows)
        found = await database.fetch_all(f"SELECT id, amount, at, details FROM {table} ORDER BY id")
        assert found == [
            {"id": "a", "amount": Decimal("0.000000000000000001"), "at": INSTANT, "details": ""},
            {
                "id": "b",
                "amount": Decimal("12345678901234567890.5"),
                "at": INSTANT.replace(microsecond=0),
                "details": '{"k": [1, 2]}',
            },
        ]

    async def test_one_bad_row_refuses_all(self, database: AnalyticalDatabase, table: str) -> None:
        rows = [b'{"id": "%d", "amount": 1}' % number for number in range(2000)]
        with pytest.raises(DatabaseError) as caught:
            await database.insert_json_rows(table, [*rows, b'{"id": "z", "amount": "much"}'])
        assert caught.value.code is not None
        assert await database.fetch_one(f"SELECT count() AS n FROM {table}") == {"n": 0}

    async def test_rows_of_very_many_partitions_are_one_insert(self, database: AnalyticalDatabase) -> None:
        await database.execute("CREATE TABLE days (d Date) ENGINE = MergeTree PARTITION BY d ORDER BY d")
        await database.insert_json_rows(
            "days", [b'{"d": "2020-%02d-%02d"}' % (m, d) for m in range(1, 13) for d in range(1, 11)]
        )
        assert await database.fetch_one("SELECT count() AS n FROM days") == {"n": 120}

    async def test_no_rows_are_no_insert(self, database: AnalyticalDatabase, table: str) -> None:
        await database.insert_json_rows(table, [])
        assert await database.bulk_insert(table, []) == 0

    async def test_bulk_insert_refuses_a_column_that_there_is_not(
        self, database: AnalyticalDatabase, table: str
    ) -> None:
        with pytest.raises(DatabaseError):
            await database.bulk_insert(table, [{"id": "a", "surplus": 1}])

    async def test_parameters_are_never_part_of_the_text(self, database: AnalyticalDatabase, table: str) -> None:
        name = "x'; DROP TABLE things; -- {id:String}\\"
        await database.insert_one(table, {"id": name, "at": INSTANT})
        found = await database.fetch_all(
            f"SELECT id FROM {table} WHERE id = {{id:String}} AND at = {{at:DateTime64(6, 'UTC')}}"
            " AND id IN {ids:Array(String)}",
            {"id": name, "at": INSTANT, "ids": [name, "'"]},
        )
        assert found == [{"id": name}]

    async def test_no_row_is_none(self, database: AnalyticalDatabase, table: str) -> None:
        assert await database.fetch_one(f"SELECT * FROM {table}") is None

    async def test_results_come_as_arrow(self, database: AnalyticalDatabase, table: str) -> None:
        await database.bulk_insert(table, [{"id": str(number), "amount": number} for number in range(3)])
        found = await database.fetch_arrow(
            f"SELECT id, amount FROM {table} WHERE id < {{id:String}} ORDER BY id", {"id": "2"}
        )
        assert isinstance(found, pyarrow.Table)
        assert found.to_pydict() == {"id": ["0", "1"], "amount": [Decimal(0), Decimal(1)]}

    async def test_an_empty_result_as_arrow_has_its_columns(self, database: AnalyticalDatabase, table: str) -> None:
        found = await database.fetch_arrow(f"SELECT id, amount FROM {table}")
        assert found.column_names == ["id", "amount"]
        assert found.num_rows == 0

    async def test_bad_sql_is_a_database_error_with_its_code(self, database: AnalyticalDatabase) -> None:
        with pytest.raises(DatabaseError) as caught:
            await database.fetch_all("SELECT * FROM nowhere")
        assert caught.value.code == "60"

    async def test_is_well_while_connected(self, database: AnalyticalDatabase) -> None:
        await database.health_check()
        assert database.is_connected

    async def test_is_unavailable_after_disconnect_until_connected_again(self, database: AnalyticalDatabase) -> None:
        await database.disconnect()
        await database.disconnect()
        assert not database.is_connected
        with pytest.raises(Unavailable):
            await database.health_check()
        await database.connect()
        await database.connect()
        await database.health_check()
