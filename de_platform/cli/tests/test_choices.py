"""Flags choose implementations."""

import pytest

from de_platform.cli.choices import ANALYTICAL_DATABASES, RELATIONAL_DATABASES, Choices, parse_databases
from de_platform.pipeline.errors import InvalidInput


def test_an_engine_serves_all_databases_of_its_kind() -> None:
    chosen = parse_databases(["postgres", "clickhouse"])
    assert chosen == dict.fromkeys(RELATIONAL_DATABASES, "postgres") | dict.fromkeys(ANALYTICAL_DATABASES, "clickhouse")


def test_memory_serves_every_database() -> None:
    assert set(parse_databases(["memory"])) == {*RELATIONAL_DATABASES, *ANALYTICAL_DATABASES}


@pytest.mark.parametrize("order", [["alerts=memory", "postgres"], ["postgres", "alerts=memory"]])
def test_a_named_database_wins_wherever_it_stands(order: list[str]) -> None:
    chosen = parse_databases(order)
    assert (chosen["alerts"], chosen["warehouse"]) == ("memory", "postgres")


@pytest.mark.parametrize("value", ["=postgres", "alerts=", "mysql", "alerts=mysql"])
def test_what_is_no_choice_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="--db"):
        parse_databases([value])


def test_own_choices_win_over_those_of_a_running_platform() -> None:
    own = Choices(mq="memory", db={"alerts": "memory"})
    running = Choices(mq="local", fs="local", db={"alerts": "postgres", "events": "clickhouse"})
    assert own.over(running) == Choices(mq="memory", fs="local", db={"alerts": "memory", "events": "clickhouse"})


def test_every_unknown_name_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        Choices(mq="x", fs="y", log="z").check()
    assert {error.field for error in caught.value.errors} == {"--mq", "--fs", "--log"}
