"""Starting, finding, disturbing and stopping any server."""

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.infra_servers import ports, state
from scripts.infra_servers.errors import CannotBeHad, DidNotStart
from scripts.infra_servers.process import Identity
from tests.infra.small_server import Absent, Broken, Small


@pytest.fixture
def server(tmp_path: Path) -> Generator[Small]:
    server = Small(tmp_path / "small", tmp_path / "downloads")
    yield server
    server.kill()


def test_started_server_answers(server: Small) -> None:
    server.start()
    assert server.answers()


def test_second_start_finds_what_runs(server: Small) -> None:
    server.start()
    before = server.process
    server.start()
    assert server.process == before


def test_another_object_for_the_same_directory_finds_what_runs(server: Small) -> None:
    server.start()
    assert Small(server.directory, server.downloads).process == server.process


def test_simultaneous_starts_start_one(server: Small) -> None:
    others = [Small(server.directory, server.downloads) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Small.start, others))
    assert len({other.process for other in others}) == 1


def test_stopped_server_is_gone(server: Small) -> None:
    server.start()
    port = server.port
    server.stop()
    assert (server.is_running, ports.accepts(port)) == (False, False)


def test_stop_of_what_does_not_run_does_nothing(server: Small) -> None:
    server.stop()
    assert not server.is_running


def test_restarted_server_is_another_process_on_the_same_port(server: Small) -> None:
    server.start()
    before, port = server.process, server.port
    server.restart()
    assert server.process != before
    assert server.port == port


def test_restart_is_refused_a_port_that_somebody_took_meanwhile(server: Small) -> None:
    server.start()
    server.kill()
    with ports.listener(server.port), pytest.raises(DidNotStart, match="took a port"):
        server.restart()


def test_start_takes_another_port_when_its_own_is_taken(server: Small) -> None:
    server.start()
    server.stop()
    taken = server.port
    with ports.listener(taken):
        server.start()
        assert server.port != taken


def test_killed_server_starts_again_on_the_same_port(server: Small) -> None:
    server.start()
    port = server.port
    server.kill()
    server.start()
    assert (server.port, server.answers()) == (port, True)


def test_paused_server_can_be_stopped(server: Small) -> None:
    server.start()
    server.pause()
    server.stop()
    assert not server.is_running


def test_process_that_has_only_the_recorded_number_is_left_alone(server: Small) -> None:
    server.start()
    innocent = server.process
    assert innocent is not None
    recycled = replace(server.state, process=Identity(pid=innocent.pid, started="long ago"))
    state.save(server.directory / "state.json", recycled)
    server.stop()
    assert innocent.is_alive
    state.save(server.directory / "state.json", replace(recycled, process=innocent))


def test_server_that_was_killed_by_others_is_started_again(server: Small) -> None:
    server.start()
    first = server.process
    assert first is not None
    os.kill(first.pid, 9)
    server.start()
    assert server.answers()


def test_wish_to_keep_outlives_a_restart(server: Small) -> None:
    server.start(keep=True)
    server.restart()
    assert server.state.kept


def test_wish_to_keep_ends_with_stop(server: Small) -> None:
    server.start(keep=True)
    server.stop()
    assert not server.state.kept


def test_start_for_a_test_run_does_not_take_back_the_wish_to_keep(server: Small) -> None:
    server.start(keep=True)
    server.start()
    assert server.state.kept


def test_server_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="no such flag"):
        Broken(tmp_path / "broken", tmp_path).start()


def test_server_that_cannot_be_had_leaves_no_process(tmp_path: Path) -> None:
    server = Absent(tmp_path / "absent", tmp_path)
    with pytest.raises(CannotBeHad, match="the network is down"):
        server.start()
    assert not server.is_running
