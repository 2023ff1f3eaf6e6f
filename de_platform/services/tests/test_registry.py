"""Implementations are found by flag and name, and only those that exist are listed."""

import importlib
import sys

import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.registry import IMPLEMENTATIONS, ServiceFlag, implementation


def test_name_leads_to_its_class() -> None:
    assert implementation(ServiceFlag.LOG, "memory") is MemoryLogger


def test_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(InvalidInput, match=r"did you mean memory\?.*pretty, memory") as caught:
        implementation(ServiceFlag.LOG, "memry")
    assert caught.value.errors[0].field == "--log"


@pytest.mark.parametrize(("flag", "name"), [(flag, name) for flag, names in IMPLEMENTATIONS.items() for name in names])
def test_every_listed_implementation_exists(flag: ServiceFlag, name: str) -> None:
    assert isinstance(implementation(flag, name), type)


def test_the_registry_imports_no_implementation() -> None:
    loaded = set(sys.modules)
    importlib.reload(sys.modules["de_platform.services.registry"])
    assert set(sys.modules) == loaded
