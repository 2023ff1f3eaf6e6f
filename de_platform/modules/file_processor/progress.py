"""How far a file is, on a terminal: bytes read, rate, time left. Silent where nobody looks."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told after every append."""

    def __call__(self, *, read_bytes: int, accepted: int, rejected: int) -> None: ...


@contextmanager
def shown(name: str, size_bytes: int) -> Generator[Progress]:
    """Draw a bar on stderr while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich import progress  # noqa: PLC0415 - only where it is drawn
    from rich.console import Console  # noqa: PLC0415

    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[counts]}"),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(name, total=size_bytes, counts="")

        def draw(*, read_bytes: int, accepted: int, rejected: int) -> None:
            bar.update(task, completed=read_bytes, counts=f"{accepted:,} accepted, {rejected:,} rejected")

        yield draw


def _silent(*, read_bytes: int, accepted: int, rejected: int) -> None:
    """Draw nothing."""
