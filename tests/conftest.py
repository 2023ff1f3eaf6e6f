import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=10, help="how often the kill test kills a process of the platform")
    parser.addoption("--kill-seed", type=int, default=20261123, help="which instants and which processes it chooses")
