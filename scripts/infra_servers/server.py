"""One server on loopback: how every kind of it is started, watched, disturbed and stopped."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from scripts.infra_servers import ports, process, state
from scripts.infra_servers.errors import DidNotStart
from scripts.infra_servers.process import Identity
from scripts.infra_servers.state import ServerState

_LOG_TAIL_CHARACTERS = 600
_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a program is started: the first of `argv` is a path, `environment` is added to ours."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


class Server(ABC):
    """A server in a directory of its own. Safe to use from several processes at once: each start and stop is locked.

    What a subclass says: where its programs come from, which files it needs, its command line, when it answers.
    """

    name: ClassVar[str]
    setting: ClassVar[str]
    """The variable that, when it is set, names a server which somebody else runs."""
    port_names: ClassVar[tuple[str, ...]] = ("main",)
    lent_port_names: ClassVar[tuple[str, ...]] = ()
    """Those of `port_names` on which somebody else listens on its behalf."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_timeout_seconds: ClassVar[float] = 60.0
    stop_timeout_seconds: ClassVar[float] = 30.0

    def __init__(self, directory: Path, downloads: Path) -> None:
        """`directory` holds data, log and state; `downloads` what was fetched, shared by all."""
        self.directory = directory
        self.downloads = downloads

    @abstractmethod
    def install(self) -> None:
        """Make the programs available, fetching what is missing. Idempotent. Raises CannotBeHad."""

    @abstractmethod
    def prepare(self) -> Launch:
        """Write what the start needs and return the command; keeps data that is there. Raises DidNotStart."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it serves clients, by asking it in its own protocol."""

    @abstractmethod
    def env(self) -> Mapping[str, str]:
        """Return the settings by which the platform reaches it."""

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def state(self) -> ServerState:
        return state.load(self.directory / "state.json")

    @property
    def process(self) -> Identity | None:
        """The running process that was started here; None when there is none, or its number is somebody else's now."""
        found = self.state.process
        return found if found is not None and found.is_alive else None

    @property
    def is_running(self) -> bool:
        return self.process is not None

    @property
    def port(self) -> int:
        return self.port_of("main")

    def port_of(self, name: str) -> int:
        """Return one of its ports; known from the first start on."""
        return self.state.ports[name]

    def start(self, *, keep: bool = False) -> None:
        """Start it unless it runs, and return when it answers. `keep` marks it as wanted beyond a test run.

        Effects in order: 1. programs fetched, 2. ports chosen and recorded, 3. process started and recorded. A second
        start does what is missing. A process that does not answer in time is left, with its log, for `stop`.

        Raises CannotBeHad, DidNotStart.
        """
        with self._locked():
            if not self.is_running:
                self.install()
                self._launch()
            if keep:
                self._save(replace(self.state, kept=True))
            self.wait_until_it_answers()

    def stop(self) -> None:
        """End it in its own orderly way, at once if that takes too long; data and ports stay. Idempotent."""
        with self._locked():
            self._end(self.stop_signal)

    def kill(self) -> None:
        """End every process of it at once, frozen or not, as a power cut would. Idempotent."""
        with self._locked():
            self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again with the same data on the same ports. Raises DidNotStart."""
        kept = self.state.kept
        before = self.state.ports
        self.stop()
        self.start(keep=kept)
        if self.state.ports != before:
            raise DidNotStart(self.name, f"somebody took a port of {dict(before)} while it was down")

    def pause(self) -> None:
        """Freeze every process of it: connections stay open, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def _launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        chosen = ports.choose(self.port_names, self.state.ports, self.lent_port_names)
        self._save(ServerState(ports=chosen))
        launch = self.prepare()
        try:
            identity = process.spawn(launch.argv, launch.environment, self.log)
        except OSError as error:
            raise DidNotStart(self.name, str(error)) from error
        self._save(ServerState(process=identity, ports=chosen))

    def wait_until_it_answers(self) -> None:
        """Return when it serves clients. Raises DidNotStart when it ended, or took too long."""
        deadline = time.monotonic() + self.start_timeout_seconds
        while not self.answers():
            if not self.is_running:
                raise DidNotStart(self.name, f"it ended: {self._log_tail()}")
            if time.monotonic() > deadline:
                raise DidNotStart(self.name, f"no answer in {self.start_timeout_seconds:g} s: {self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _end(self, number: signal.Signals) -> None:
        running = self.process
        if running is not None:
            members = process.family(running)
            process.send(members if number is signal.SIGKILL else members[:1], number)
            process.send(members, signal.SIGCONT)
            if not process.wait_until_gone(members, self.stop_timeout_seconds):
                process.send(members, signal.SIGKILL)
                process.wait_until_gone(members, self.stop_timeout_seconds)
        self._save(ServerState(ports=self.state.ports))

    def _signal(self, number: signal.Signals) -> None:
        running = self.process
        assert running is not None, f"{self.name} runs"
        process.send(process.family(running), number)

    def _save(self, new: ServerState) -> None:
        if self.directory.exists():
            state.save(self.directory / "state.json", new)

    def _locked(self) -> AbstractContextManager[None]:
        return state.exclusive(self.directory / "lock")

    def _log_tail(self) -> str:
        if not self.log.exists():
            return "it wrote no log"
        text = self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:]
        return " | ".join(text.split("\n")[-4:]).strip(" |") or "its log is empty"
