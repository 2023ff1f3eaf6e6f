"""Settings come from known places, the later one wins, and typos are errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from de_platform.config.settings import Origin, Settings, Source, read_env_file, read_env_json
from de_platform.pipeline.errors import InvalidInput


def source(origin: Origin = Origin.ENVIRONMENT, **values: str) -> Source:
    return Source(origin=origin, values=values)


def faults(*sources: Source) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        Settings.resolve(*sources)
    return {error.field: error.message for error in caught.value.errors}


def origin_of(settings: Settings, name: str) -> Origin:
    return next(setting.origin for setting in settings.listing() if setting.name == name)


def test_declared_setting_has_its_default() -> None:
    settings = Settings.resolve()
    assert settings["DE_PLATFORM_LOG_LEVEL"] == "info"
    assert origin_of(settings, "DE_PLATFORM_LOG_LEVEL") is Origin.DEFAULT


def test_later_source_wins() -> None:
    settings = Settings.resolve(source(MQ_LOCAL_PATH="a"), source(Origin.ENV_JSON, MQ_LOCAL_PATH="b"))
    assert settings["MQ_LOCAL_PATH"] == "b"
    assert origin_of(settings, "MQ_LOCAL_PATH") is Origin.ENV_JSON


def test_unknown_name_of_ours_suggests_the_nearest() -> None:
    assert "did you mean DE_PLATFORM_LOG_LEVEL?" in faults(source(DE_PLATFORM_LOG_LEVL="x"))["DE_PLATFORM_LOG_LEVL"]


def test_names_for_tests_are_left_alone() -> None:
    settings = Settings.resolve(source(DE_PLATFORM_TEST_DATA="data"))
    assert "DE_PLATFORM_TEST_DATA" not in {setting.name for setting in settings.listing()}


def test_unknown_name_of_others_is_their_business() -> None:
    settings = Settings.resolve(source(HOME="/home/x"))
    assert settings.get("HOME") == "/home/x"
    assert "HOME" not in {setting.name for setting in settings.listing()}


def test_every_value_that_does_not_fit_is_named() -> None:
    found = faults(
        source(
            DE_PLATFORM_PORT_OFFSET="-1",
            DE_PLATFORM_LOG_FORMAT="xml",
            DE_PLATFORM_DRAIN_TIMEOUT_SECONDS="nan",
            DB_EVENTS_PORT="http",
        )
    )
    assert len(found) == 4


def test_named_databases_have_settings() -> None:
    settings = Settings.resolve(source(DB_DATA_AUDIT_HOST="db", DB_POSTGRES_PORT="5432"))
    assert {s.name for s in settings.listing() if s.name.startswith("DB_")} == {
        "DB_DATA_AUDIT_HOST",
        "DB_POSTGRES_PORT",
    }


def test_secrets_are_shown_masked() -> None:
    settings = Settings.resolve(source(DB_POSTGRES_PASSWORD="hunter22"))
    shown = {setting.name: setting.shown() for setting in settings.listing()}
    assert shown["DB_POSTGRES_PASSWORD"] == "***"
    assert settings.secret_values() == ["hunter22"]


def test_names_are_split_at_commas() -> None:
    settings = Settings.resolve(source(DE_PLATFORM_EDGE_MODULES=" a, b ,,c "))
    assert settings.names("DE_PLATFORM_EDGE_MODULES") == ("a", "b", "c")


def test_env_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\n\nexport A=1\nB = 'x y'\nC=a=b\nD=\n")
    assert read_env_file(file) == {"A": "1", "B": "x y", "C": "a=b", "D": ""}


def test_env_file_names_every_bad_line(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nnonsense\n=x\n")
    with pytest.raises(InvalidInput) as caught:
        read_env_file(file)
    assert [error.message.split()[-4:-2] for error in caught.value.errors] == [["2:", "must"], ["3:", "must"]]


def test_missing_env_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_env_file(tmp_path / "absent")


def test_env_json_takes_plain_values() -> None:
    assert read_env_json('{"A": "x", "B": 5, "C": true}') == {"A": "x", "B": "5", "C": "true"}


@pytest.mark.parametrize("text", ["", "[]", '{"A": null}', '{"A": []}', "{"])
def test_env_json_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--env"):
        read_env_json(text)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=8), max_size=4))
def test_what_others_set_is_handed_on_unchanged(values: dict[str, str]) -> None:
    environ = Settings.resolve(source(**values)).as_environ()
    assert {name: environ.get(name, "") for name in values} == values
