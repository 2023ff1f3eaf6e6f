"""Several servers at once, their users, and the command line."""

from collections.abc import Generator
from pathlib import Path

import pytest

from scripts.infra_servers.cli import main
from scripts.infra_servers.infra import Infra
from tests.infra.small_server import Absent, Broken, Small

KINDS = (Small, Broken, Absent)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"INFRA_DATA": str(tmp_path / "data"), "INFRA_DOWNLOADS": str(tmp_path / "downloads")}


@pytest.fixture
def infra(environ: dict[str, str]) -> Generator[Infra]:
    infra = Infra.of_environment(environ, KINDS)
    yield infra
    infra.down(infra.names)


def test_one_that_fails_does_not_hinder_the_others(infra: Infra) -> None:
    outcomes = infra.up(infra.names, keep=False)
    assert [bool(outcome.failure) for outcome in outcomes] == [False, True, True]


def test_server_that_the_environment_names_is_not_started(environ: dict[str, str]) -> None:
    infra = Infra.of_environment({**environ, "SMALL_URL": "tcp://elsewhere:1"}, KINDS)
    infra.up(["small"], keep=False)
    assert not infra.server("small").is_running


def test_all_settings_of_a_given_server_are_found(environ: dict[str, str]) -> None:
    given = {"DB_POSTGRES_HOST": "elsewhere", "DB_POSTGRES_PASSWORD": "secret"}
    assert Infra.of_environment({**environ, **given}).given("postgres") == given


def test_last_user_stops_what_was_started_for_it(infra: Infra) -> None:
    with infra.in_use():
        infra.up(["small"], keep=False)
    assert not infra.server("small").is_running


def test_user_leaves_running_what_another_uses(infra: Infra) -> None:
    with infra.in_use():
        with infra.in_use():
            infra.up(["small"], keep=False)
        assert infra.server("small").is_running


def test_user_leaves_running_what_was_started_to_stay(infra: Infra) -> None:
    infra.up(["small"], keep=True)
    with infra.in_use():
        infra.up(["small"], keep=False)
    assert infra.server("small").is_running


def test_down_names_only_what_it_stopped(infra: Infra) -> None:
    infra.up(["small"], keep=True)
    assert [infra.down(infra.names), infra.down(infra.names)] == [["small"], []]


def test_up_prints_settings_and_nothing_else_on_stdout(
    infra: Infra, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "small"], environ, KINDS) == 0
    assert capsys.readouterr().out == f"SMALL_URL=tcp://127.0.0.1:{infra.server('small').port}\n"


def test_env_prints_what_runs_ready_for_the_shell(
    infra: Infra, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    infra.up(["small"], keep=True)
    assert main(["env", "--export"], environ, KINDS) == 0
    assert capsys.readouterr().out == f"export SMALL_URL=tcp://127.0.0.1:{infra.server('small').port}\n"


def test_up_says_in_one_line_what_cannot_be_had(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "absent"], environ, KINDS) == 1
    assert "absent: the network is down\n" in capsys.readouterr().err


def test_down_stops_what_is_named(infra: Infra, environ: dict[str, str]) -> None:
    infra.up(["small"], keep=True)
    assert main(["down", "small"], environ, KINDS) == 0
    assert not infra.server("small").is_running


def test_status_tells_what_is_down(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"], {**environ, "SMALL_URL": "tcp://elsewhere:1"}, KINDS) == 1
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["small", "given by the environment"], ["broken", "down"], ["absent", "down"]]


def test_unknown_name_is_refused(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", "oracle"], environ, KINDS)
    assert "oracle" in capsys.readouterr().err
