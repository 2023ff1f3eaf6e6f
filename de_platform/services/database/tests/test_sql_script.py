import pytest
from hypothesis import given
from hypothesis import strategies as st

from de_platform.services.database.sql_script import statements

STATEMENT = st.lists(
    st.sampled_from(["SELECT 1", "'a;b'", '"c;d"', "`e;f`", "'it''s'", "'\\';'", "\n", "x - y / z", "'-- no'", "ü"]),
    min_size=1,
).map(" ".join)
COMMENT = st.sampled_from(["", "-- a; comment's end\n", "/* two;\nlines */", "/* -- */"])


@given(st.lists(st.tuples(COMMENT, STATEMENT)))
def test_statements_that_were_joined_come_apart(parts: list[tuple[str, str]]) -> None:
    script = ";".join(comment + statement for comment, statement in parts)
    assert statements(script) == [statement.strip() for _, statement in parts if statement.strip()]


@pytest.mark.parametrize("script", ["", " ; ;\n", "-- nothing", "/* nothing", ";;"])
def test_a_script_of_nothing_has_no_statement(script: str) -> None:
    assert statements(script) == []
