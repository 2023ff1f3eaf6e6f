"""What is kept about a server, and how its process is told from another with the same number."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scripts.infra_servers import ports, process, state
from scripts.infra_servers.process import Identity
from scripts.infra_servers.secret import secret
from scripts.infra_servers.state import ServerState


def test_saved_state_is_read_back(tmp_path: Path) -> None:
    saved = ServerState(process=Identity(pid=1, started="then"), ports={"main": 20_001}, kept=True)
    state.save(tmp_path / "state.json", saved)
    assert state.load(tmp_path / "state.json") == saved


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"process": 7, "ports": {}, "kept": false}'])
def test_unreadable_state_is_that_of_a_server_that_never_ran(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    assert state.load(tmp_path / "state.json") == ServerState()


def test_lock_keeps_others_out_until_it_is_left(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with state.exclusive(tmp_path / "lock"):
            entered.set()

    with state.exclusive(tmp_path / "lock"):
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.1)
    assert entered.wait(10)
    other.join()


def test_running_process_is_known_again() -> None:
    known = process.identify(os.getpid())
    assert known is not None
    assert known.is_alive


def test_number_that_is_used_again_is_not_taken_for_the_process() -> None:
    assert not Identity(pid=os.getpid(), started="some boot 1").is_alive


def test_dead_process_that_nobody_has_buried_is_not_alive() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert process.identify(pid) is None


def test_family_includes_children_in_sessions_of_their_own(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE) as parent:
        identity = process.identify(parent.pid)
        assert identity is not None
        while len(found := process.family(identity)) < 2:
            assert parent.poll() is None
        parent.communicate(b"\n")
    assert found[0] == identity


def test_usual_port_is_taken_when_it_is_free() -> None:
    usual = ports.free_port()
    assert ports.choose(["main"], {"main": usual}) == {"main": usual}


def test_usual_port_is_given_up_when_somebody_has_it() -> None:
    usual = ports.free_port()
    with ports.listener(usual):
        assert ports.choose(["main"], {"main": usual})["main"] != usual


def test_a_lent_port_stays_although_somebody_listens_on_it() -> None:
    usual = ports.free_port()
    with ports.listener(usual):
        assert ports.choose(["proxy"], {"proxy": usual}, lent=["proxy"]) == {"proxy": usual}


def test_ports_of_one_server_are_different() -> None:
    chosen = ports.choose([str(number) for number in range(20)], {})
    assert len(set(chosen.values())) == 20


def test_chosen_port_is_none_that_the_system_gives_to_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert ports.free_port() < lowest


def test_password_is_made_once(tmp_path: Path) -> None:
    assert secret(tmp_path / "password") == secret(tmp_path / "password")


def test_password_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    secret(tmp_path / "password")
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600
