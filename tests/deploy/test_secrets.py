"""The passwords of a Compose installation are made where it is installed."""

import re
import subprocess

from tests.deploy.deployment_files import DEPLOY


def made() -> dict[str, str]:
    done = subprocess.run([DEPLOY / "make-env"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if line and not line.startswith("#"))


def test_every_password_is_random_and_of_128_bits() -> None:
    values = list(made().values())
    assert values
    assert [value for value in values if not re.fullmatch(r"[0-9a-f]{32}", value)] == []


def test_no_password_is_used_twice() -> None:
    values = [*made().values(), *made().values()]
    assert len(set(values)) == len(values)


def test_files_of_passwords_are_never_committed() -> None:
    for folder in (DEPLOY, DEPLOY.parent / ".devcontainer"):
        assert ".env" in (folder / ".gitignore").read_text(encoding="utf-8").splitlines()
