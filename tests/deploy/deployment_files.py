"""Reads the files of deploy/ as Compose and Kubernetes would, and what they start as our command line would."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.global_flags import REPEATABLE_FLAGS, global_arguments
from de_platform.cli.run import HEALTH_PORT
from de_platform.config.arguments import parse_arguments
from de_platform.config.descriptor import ModuleType

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "docker-compose.yml"
DEVCONTAINER = ROOT / ".devcontainer"
OVERLAYS = ("small", "large")
KUBERNETES = "1.32"
"""The version whose schemas manifests are checked against."""
ONLY_FOR_DEMOS = {"generator"}

_VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A command line of ours: the module that it runs, and its flags and arguments as they were given."""

    module: str
    given: Mapping[str, Sequence[Any]]


class _ComposeLoader(yaml.SafeLoader):
    """Knows the mark by which a Compose file takes back what it extends."""


_ComposeLoader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def load_compose(path: Path) -> dict[str, Any]:
    """Return a Compose file with its anchors resolved and its variables as they are."""
    return yaml.load(path.read_text(encoding="utf-8"), _ComposeLoader)  # noqa: S506 - a SafeLoader


def variables(text: str) -> list[re.Match[str]]:
    """Return the `${...}` of a text; groups `name`, `kind` (`-` default, `?` required, None) and `rest`."""
    return list(_VARIABLE.finditer(text))


def interpolated(text: str) -> str:
    """Return a text with the defaults of its variables; those without are `example`."""
    return _VARIABLE.sub(lambda v: v["rest"] if v["kind"] == "-" else "example", text).replace("$$", "$")


def long_running_modules() -> set[str]:
    """Return the names of all modules that run until they are told to stop."""
    catalog = ModuleCatalog()
    return {name for name in catalog.names() if catalog.descriptor(name).type is not ModuleType.JOB}


def invocation(command: Sequence[str]) -> Invocation:
    """Read `run MODULE ...` as the command line does. Raises InvalidInput for what it would refuse."""
    run, module, *words = (interpolated(word) for word in command)
    assert run == "run"
    arguments = (*global_arguments(), HEALTH_PORT, *ModuleCatalog().descriptor(module).args)
    return Invocation(module=module, given=parse_arguments(words, arguments, repeatable=REPEATABLE_FLAGS).given)


@cache
def kustomized(folder: Path) -> list[dict[str, Any]]:
    """Return the resources that a kustomization stands for; the same objects each time. Needs kubectl."""
    kubectl = shutil.which("kubectl")
    assert kubectl, "kubectl is needed"
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [resource for resource in yaml.safe_load_all(done.stdout) if resource]
