"""The image is small, locked, without rights and stoppable: checked in its text, and its shell steps by a shell."""

import os
import re
import subprocess
from pathlib import Path

import msgspec

from de_platform.cli.run import DEFAULT_HEALTH_PORT
from de_platform.config.setting_specs import spec_of
from tests.deploy.deployment_files import DEPLOY, ROOT

MODULE_VARIABLE = re.compile(r"\b((?:DE_PLATFORM|MQ|DB|FS|CACHE)_\w+)=")


class Instruction(msgspec.Struct, frozen=True):
    """One instruction, its continued lines joined, without comments."""

    word: str
    rest: str


def instructions() -> list[Instruction]:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [Instruction(*line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction.word == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def last(word: str) -> str:
    """Return what the last such instruction of the image itself says."""
    return [instruction.rest for instruction in stages()[-1] if instruction.word == word][-1]


def test_every_base_is_pinned_to_a_version() -> None:
    bases = [instruction.rest.split()[0] for instruction in instructions() if instruction.word == "FROM"]
    assert bases
    assert [base for base in bases if not re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-[a-z-]+", base)] == []


def test_the_image_itself_installs_nothing() -> None:
    assert [instruction for instruction in stages()[-1] if instruction.word in {"RUN", "ADD"}] == []


def test_everything_that_is_fetched_is_locked() -> None:
    steps = [step for i in instructions() if i.word == "RUN" for step in i.rest.split("&&") if " install " in step]
    assert len(steps) == 3
    assert [step for step in steps if "--require-hashes" not in step and "--no-index" not in step] == []


def test_the_image_runs_as_a_numbered_user() -> None:
    uid, _, gid = last("USER").partition(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_signals_reach_the_platform_and_not_a_shell() -> None:
    assert msgspec.json.decode(last("ENTRYPOINT")) == ["de-platform"]
    assert last("STOPSIGNAL") == "SIGTERM"


def test_the_image_is_checked_on_the_health_port() -> None:
    assert f":{DEFAULT_HEALTH_PORT}/health/live" in last("HEALTHCHECK")


def test_the_image_sets_nothing_but_declared_settings_and_no_secret() -> None:
    specs = {name: spec_of(name) for name in MODULE_VARIABLE.findall(last("ENV"))}
    assert specs
    assert [name for name, spec in specs.items() if spec is None or spec.is_secret] == []


def test_everything_that_is_copied_is_let_in() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source.replace("[", "").replace("]", "").removeprefix("./")
        for instruction in instructions()
        if instruction.word == "COPY" and not instruction.rest.startswith("--from")
        for source in instruction.rest.split()[:-1]
    }
    assert (ignored[0], copied) == ("*", let_in)
    assert [name for name in copied - {"ui"} if not (ROOT / name).exists()] == []


def user_interface_built(source: Path, bin_directory: Path) -> list[str]:
    """Run the step that builds the user interface in `source`/ui; return what it had npm do."""
    (step,) = [i.rest for i in stages()[0] if i.word == "RUN"]
    calls = source / "calls"
    calls.touch()
    bin_directory.mkdir()
    npm = bin_directory / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n', encoding="utf-8")
    npm.chmod(0o755)
    environment = {"PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-euc", step], cwd=source / "ui", env=environment, check=True)
    return calls.read_text(encoding="utf-8").splitlines()


def test_a_source_without_user_interface_builds_an_image_without_it(tmp_path: Path) -> None:
    (tmp_path / "source" / "ui").mkdir(parents=True)
    assert user_interface_built(tmp_path / "source", tmp_path / "bin") == []
    assert list((tmp_path / "source" / "de_platform" / "modules" / "data_api" / "static").iterdir()) == []


def test_the_user_interface_is_built_from_its_lock(tmp_path: Path) -> None:
    (tmp_path / "source" / "ui").mkdir(parents=True)
    (tmp_path / "source" / "ui" / "package-lock.json").touch()
    assert user_interface_built(tmp_path / "source", tmp_path / "bin") == ["ci", "run build"]
