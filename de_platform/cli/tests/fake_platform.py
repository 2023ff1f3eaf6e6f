"""A supervisor of fake children in a process of its own: `fake_platform.py JOURNAL`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from de_platform.cli.child import ChildSpec
from de_platform.cli.supervisor import Supervisor
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.pretty_logger import PrettyLogger

CHILD = Path(__file__).with_name("fake_child.py")


async def main(journal: str) -> int:
    log = PrettyLogger()
    lifecycle = LifecycleManager(log)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lifecycle.request_shutdown)
    names = ("store", "pipeline", "edge")
    specs = [ChildSpec(name=name, command=(sys.executable, str(CHILD), name, journal)) for name in names]
    supervisor = Supervisor(specs, os.environ, log, lifecycle, on_founded=lambda _found: None, stop_timeout_seconds=5)
    return await supervisor.run()


sys.exit(asyncio.run(main(sys.argv[1])))
