"""What the tests of the step share."""

import pytest

from de_platform.modules.normalizer.tests.normalizer_bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
