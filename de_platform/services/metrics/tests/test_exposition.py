"""Expositions of several processes become one valid exposition."""

from prometheus_client.parser import text_string_to_metric_families

from de_platform.services.metrics.exposition import merge
from de_platform.services.metrics.prometheus_metrics import PrometheusMetrics


def exposition(rows: int, *, tenant: str = "acme") -> str:
    metrics = PrometheusMetrics()
    metrics.counter("rows_flushed_total", rows, service="persistence", table="orders")
    metrics.counter("duplicates_detected_total", service="normalizer", dedup_type="external", tenant_id=tenant)
    metrics.histogram("processing_duration_seconds", 0.2, service="persistence", operation="flush")
    return metrics.exposition().decode()


def test_a_family_is_described_once() -> None:
    merged = merge({"pipeline": exposition(1), "edge": exposition(2)})
    assert merged.count("# TYPE rows_flushed_total counter") == 1


def test_equal_series_of_two_processes_stay_apart() -> None:
    merged = merge({"pipeline": exposition(1), "edge": exposition(2)})
    families = {family.name: family for family in text_string_to_metric_families(merged)}
    samples = families["rows_flushed"].samples
    assert {(s.labels["process"], s.value) for s in samples} == {("pipeline", 1), ("edge", 2)}


def test_label_values_with_braces_and_quotes_survive() -> None:
    merged = merge({"edge": exposition(1, tenant='a"},b\\{')})
    families = {family.name: family for family in text_string_to_metric_families(merged)}
    (sample,) = families["duplicates_detected"].samples
    assert sample.labels["tenant_id"] == 'a"},b\\{'


def test_a_sample_without_labels_gets_one() -> None:
    assert merge({"edge": "# TYPE up gauge\nup 1\n"}) == '# TYPE up gauge\nup{process="edge"} 1\n'


def test_nothing_merges_to_nothing() -> None:
    assert merge({}) == ""
