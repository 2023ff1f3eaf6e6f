"""Files stay small enough to be read."""

from pathlib import Path

import de_platform

ROOT = Path(de_platform.__path__[0]).parent
MAX_LINES = 400
LONGER_FOR_A_REASON: dict[str, str] = {}
"""Path to reason, one line each."""


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_it_should_be() -> None:
    found = {
        str(path.relative_to(ROOT)): lines_of(path)
        for folder in ("de_platform", "tests", "benchmarks", "scripts")
        for path in (ROOT / folder).rglob("*.py")
    }
    too_long = {name: count for name, count in found.items() if count > MAX_LINES and name not in LONGER_FOR_A_REASON}
    assert too_long == {}


def test_every_exception_is_still_needed() -> None:
    assert [name for name in LONGER_FOR_A_REASON if lines_of(ROOT / name) <= MAX_LINES] == []


def test_no_file_keeps_a_list_of_things_to_do() -> None:
    marks = ("TO" + "DO", "FIX" + "ME")
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "de_platform").rglob("*.py")
        if any(mark in path.read_text(encoding="utf-8") for mark in marks)
    ]
    assert found == []
