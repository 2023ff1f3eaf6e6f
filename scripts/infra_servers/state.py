"""What is kept about one server between two commands: its process, its ports, and who wants it to stay."""

import fcntl
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.infra_servers.process import Identity


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Ports outlive the process, so that the next start listens where clients look for it."""

    process: Identity | None = None
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    kept: bool = False
    """Whether it was started to stay, by a person; the end of a test run stops the others."""


def load(path: Path) -> ServerState:
    """Read a state; an absent or unreadable file is that of a server which never ran."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        process = Identity(**raw["process"]) if raw["process"] else None
        return ServerState(process=process, ports=dict(raw["ports"]), kept=bool(raw["kept"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ServerState()


def save(path: Path, state: ServerState) -> None:
    """Replace the state at once: a reader finds the old one or the new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
    draft.replace(path)


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock of this path, waiting for it; the kernel gives it back when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
