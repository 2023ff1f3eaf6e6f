"""`up` says clearly why it cannot start, and what there is once it has."""

import socket
from pathlib import Path

import pytest

from de_platform.cli.choices import Choices
from de_platform.cli.data_dir import end_leftovers, prepare_data_dir
from de_platform.cli.embedded_platform import platform_environment
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.instance import RunningInstance, process_lock, supervisor_lock
from de_platform.cli.main import main
from de_platform.cli.up import greeting
from de_platform.config.settings import Settings

Captured = pytest.CaptureFixture[str]


def test_second_platform_on_a_directory_is_refused(tmp_path: Path, capsys: Captured) -> None:
    supervisor_lock(tmp_path).acquire()
    assert main(["up", "--data-dir", str(tmp_path)]) == ExitCode.USAGE
    assert f"already runs on {tmp_path}" in capsys.readouterr().err


def test_port_in_use_is_named_with_its_flag(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DE_PLATFORM_PIPELINE_MODULES", "hello_world")
    monkeypatch.setenv("DE_PLATFORM_EDGE_MODULES", "hello_world")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = main(["up", "--data-dir", str(tmp_path), "--port-offset", str(port - 8080)])
    assert code == ExitCode.USAGE
    assert f"--port-offset: port {port} of health cannot be had" in capsys.readouterr().err


def test_directory_that_cannot_be_used_is_refused(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["up", "--data-dir", str(file)]) == ExitCode.USAGE
    assert f"{file} cannot be used" in capsys.readouterr().err


def test_faults_of_the_layout_are_told_before_anything_starts(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DE_PLATFORM_PIPELINE_MODULES", "hello_wrld")
    assert main(["up", "--data-dir", str(tmp_path)]) == ExitCode.USAGE
    assert "did you mean hello_world?" in capsys.readouterr().err


def test_data_is_for_its_owner_only(tmp_path: Path) -> None:
    prepare_data_dir(tmp_path / "data")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()} == {0o700}


def test_nothing_is_waited_for_where_nothing_is_left(tmp_path: Path) -> None:
    end_leftovers(tmp_path)
    assert process_lock(tmp_path, "store").acquire()


def test_greeting_says_where_everything_is_and_how_to_stop(tmp_path: Path) -> None:
    environment = platform_environment(Settings.resolve(), tmp_path, {"health": 8080})
    urls = {"data_api": "http://127.0.0.1:8002", "health": "http://127.0.0.1:8080"}
    text = greeting(RunningInstance(choices=Choices(), environment=environment, urls=urls))
    assert [part for part in ("http://127.0.0.1:8002/ui", str(tmp_path), "Ctrl-C") if part not in text] == []
    assert "Intake" not in text
