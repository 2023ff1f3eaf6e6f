"""What a check of `doctor` is, and what it answers."""

from collections.abc import Callable
from typing import NamedTuple

from de_platform.cli.global_flags import Surroundings


class Finding(NamedTuple):
    """What one check found. `fix` says what to do; empty when all is well."""

    found: str
    fix: str = ""


Check = Callable[[Surroundings], Finding]
