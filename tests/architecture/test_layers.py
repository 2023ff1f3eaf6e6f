"""A layer imports only from those below it, and modules never import each other."""

from pathlib import Path

import grimp
import pytest
from importlinter import cli

import de_platform

PACKAGE = Path(de_platform.__path__[0])


def test_layers_import_downwards_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(PACKAGE.parent)
    exit_code = cli.lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert exit_code == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_modules_do_not_import_each_other() -> None:
    graph = grimp.build_graph("de_platform", cache_dir=None)
    root = "de_platform.modules"
    names = {child for child in graph.find_children(root) if graph.find_children(child)}
    crossings = [
        (importer, imported)
        for importer in names
        for imported in names - {importer}
        if graph.direct_import_exists(importer=importer, imported=imported, as_packages=True)
    ]
    assert crossings == []


def test_pipeline_knows_no_clock_no_randomness_and_no_input_or_output() -> None:
    forbidden = ("asyncio", "random", "secrets", "socket", "time", "urllib", "http")
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in (PACKAGE / "pipeline").rglob("*.py")
        if "tests" not in path.parts
        for line in path.read_text().splitlines()
        if line.startswith(tuple(f"{how} {name}" for how in ("import", "from") for name in forbidden))
        and line != "from random import Random"  # a generator that its caller seeds
    ]
    assert found == []
