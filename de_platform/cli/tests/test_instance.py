"""A running platform is found by its directory, by its owner only, and only while it runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from de_platform.cli.choices import Choices
from de_platform.cli.global_flags import GlobalFlags, surroundings
from de_platform.cli.instance import (
    RunningInstance,
    process_lock,
    read_instance,
    remove_instance,
    run_dir,
    supervisor_lock,
    write_instance,
)
from de_platform.pipeline.errors import InvalidInput, Unavailable

INSTANCE = RunningInstance(choices=Choices(mq="local"), environment={"MQ_LOCAL_PATH": "/q"})


def test_running_platform_is_found(tmp_path: Path) -> None:
    supervisor_lock(tmp_path).acquire()
    write_instance(tmp_path, INSTANCE)
    assert read_instance(tmp_path) == INSTANCE


def test_file_is_for_its_owner_only(tmp_path: Path) -> None:
    write_instance(tmp_path, INSTANCE)
    (file,) = run_dir(tmp_path).glob("environment.json")
    assert file.stat().st_mode & 0o777 == 0o600


def test_platform_that_ended_is_not_found(tmp_path: Path) -> None:
    write_instance(tmp_path, INSTANCE)
    with pytest.raises(Unavailable, match="none runs on"):
        read_instance(tmp_path)


def test_platform_that_is_starting_is_said_to_be(tmp_path: Path) -> None:
    supervisor_lock(tmp_path).acquire()
    remove_instance(tmp_path)
    with pytest.raises(Unavailable, match="still starting"):
        read_instance(tmp_path)


def test_environment_of_the_platform_wins_over_ours_and_flags_win_over_both(tmp_path: Path) -> None:
    supervisor_lock(tmp_path).acquire()
    write_instance(tmp_path, INSTANCE)
    around = surroundings(
        GlobalFlags(data_dir=str(tmp_path), fs="memory"), environ={"MQ_LOCAL_PATH": "/ours", "FS_LOCAL_ROOT": "/f"}
    )
    assert around.settings["MQ_LOCAL_PATH"] == "/q"
    assert around.settings["FS_LOCAL_ROOT"] == "/f"
    assert around.settings["DE_PLATFORM_DATA_DIR"] == str(tmp_path)
    assert (around.choices.mq, around.choices.fs) == ("local", "memory")


def test_lock_names_its_holder(tmp_path: Path) -> None:
    lock = process_lock(tmp_path, "store")
    assert lock.holder() is None
    program = (
        "import sys, pathlib; from de_platform.cli.instance import process_lock;"
        "l = process_lock(pathlib.Path(sys.argv[1]), 'store'); assert l.acquire(); print('held', flush=True); input()"
    )
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert lock.holder() == other.pid
        assert not lock.acquire()
        other.kill()
    assert lock.acquire(timeout_seconds=5)


def test_lock_is_taken_once_and_released(tmp_path: Path) -> None:
    first, second = supervisor_lock(tmp_path), supervisor_lock(tmp_path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()


def test_settings_only_need_no_platform(tmp_path: Path) -> None:
    around = surroundings(GlobalFlags(data_dir=str(tmp_path)), environ={}, find_instance=False)
    assert around.settings["DE_PLATFORM_DATA_DIR"] == str(tmp_path)
    with pytest.raises(InvalidInput):
        surroundings(GlobalFlags(mq="memry"), environ={}, find_instance=False)
