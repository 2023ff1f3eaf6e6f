"""Algorithms are found by name, plug-ins included, and imported only when they are wanted."""

import subprocess
import sys
from datetime import datetime
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from de_platform.pipeline import algorithms
from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithms import FraudAlgorithm, alert_id, build, build_all, registered
from de_platform.pipeline.errors import InvalidInput


class Tuesday(FraudAlgorithm):
    def name(self) -> str:
        return "tuesday"

    def evaluate_window(
        self, events: list[algorithms.Event], tenant_id: str, window_start: datetime, window_end: datetime
    ) -> list[Alert]:
        return []


def plug_in(monkeypatch: pytest.MonkeyPatch, name: str, target: str) -> None:
    entries = EntryPoints([EntryPoint(name, f"{__name__}:{target}", algorithms.PLUGIN_GROUP)])
    monkeypatch.setattr(algorithms, "entry_points", lambda group: entries.select(group=group))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Tuesday.__module__])


def test_the_base_three_are_there():
    assert {"large_notional", "suspicious_counterparty", "velocity"} <= registered().keys()


def test_a_plug_in_is_built_like_any_other(monkeypatch: pytest.MonkeyPatch):
    plug_in(monkeypatch, "tuesday", "Tuesday")
    assert "tuesday" in [algorithm.name() for algorithm in build_all({})]


def test_a_plug_in_cannot_replace_a_built_in_algorithm(monkeypatch: pytest.MonkeyPatch):
    plug_in(monkeypatch, "velocity", "Tuesday")
    assert build("velocity").name() == "velocity"


def test_a_plug_in_that_is_no_algorithm_is_refused(monkeypatch: pytest.MonkeyPatch):
    plug_in(monkeypatch, "odd", "plug_in")
    with pytest.raises(InvalidInput, match="is not a FraudAlgorithm"):
        build("odd")


def test_no_detector_is_imported_before_it_is_wanted():
    program = "import sys; from de_platform.pipeline.algorithms import registered; registered(); " + (
        "sys.exit(any(name.startswith('de_platform.pipeline.detectors.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - our own code


def test_an_alert_id_tells_tenant_algorithm_subject_and_anchor_apart():
    parts = {"tenant_id": "acme", "algorithm": "velocity", "subject_key": "client:a", "anchor": "order/1/2026-01-01"}
    ids = {alert_id(**parts)} | {alert_id(**(parts | {name: "other"})) for name in parts}
    assert len(ids) == 5
