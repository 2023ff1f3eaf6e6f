"""A process as the supervisor expects it: `fake_child.py NAME JOURNAL`, writing what befalls it to a journal."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from de_platform.cli.child import Report, send_report
from de_platform.cli.parent_watch import end_with_parent, receive_environment, signal_on_death_of_parent
from de_platform.http.health import HealthMonitor, HealthServer
from de_platform.services.clock.system_clock import SystemClock


def note(journal: Path, what: str) -> None:
    with journal.open("a") as file:
        file.write(f"{what}\n")


async def metrics() -> bytes:
    return b"# TYPE up gauge\nup 1\n"


async def main(name: str, journal: Path) -> int:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    monitor = HealthMonitor(SystemClock(), is_started=lambda: True, is_stopping=stopping.is_set)
    server = HealthServer(monitor, metrics, host="127.0.0.1", port=0, flag="--port")
    await server.start()
    founded_by = receive_environment().get("FOUNDED_BY", "-")
    end_with_parent(grace_seconds=5)
    note(journal, f"start {name} {os.getpid()} {founded_by}")
    mark = str(os.getpid()) if "MOVES" in os.environ else ""
    send_report(Report(health_port=server.port, environment={"FOUNDED_BY": f"{name}{mark}"}))
    await stopping.wait()
    note(journal, f"stop {name}")
    return int(os.environ.get(f"EXIT_CODE_{name}", "0"))


if os.environ.get("REFUSES") == sys.argv[1]:
    sys.exit(2)
signal_on_death_of_parent()
sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]))))
