"""The fake alert store under the contract."""

import pytest

from de_platform.services.alert_store.contract import AlertStoreContract
from de_platform.services.alert_store.memory_alert_store import MemoryAlertStore


@pytest.fixture(scope="module")
def store() -> MemoryAlertStore:
    return MemoryAlertStore()


class TestMemoryAlertStore(AlertStoreContract):
    pass
