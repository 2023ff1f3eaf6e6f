"""A server that is small enough to start in a test of how servers are started, and the ways in which one can fail."""

import os
import sys
from collections.abc import Mapping

from scripts.infra_servers import ports
from scripts.infra_servers.errors import CannotBeHad
from scripts.infra_servers.server import Launch, Server

_ACCEPTS_FOR_EVER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        listener.accept()[0].close()
"""


class Small(Server):
    """Accepts connections and closes them."""

    name = "small"
    setting = "SMALL_URL"
    start_timeout_seconds = 20.0

    def install(self) -> None:
        return

    def prepare(self) -> Launch:
        argv = (sys.executable, "-S", "-c", _ACCEPTS_FOR_EVER, str(self.port))
        return Launch(argv=argv, environment=dict(os.environ))

    def answers(self) -> bool:
        return ports.accepts(self.port)

    def env(self) -> Mapping[str, str]:
        return {"SMALL_URL": f"tcp://127.0.0.1:{self.port}"}


class Broken(Small):
    """Ends at once, with a word about it."""

    name = "broken"
    setting = "BROKEN_URL"

    def prepare(self) -> Launch:
        argv = (sys.executable, "-S", "-c", "import sys; sys.exit('no such flag')")
        return Launch(argv=argv, environment=dict(os.environ))


class Absent(Small):
    """Nowhere to be had."""

    name = "absent"
    setting = "ABSENT_URL"

    def install(self) -> None:
        raise CannotBeHad(self.name, "the network is down")
