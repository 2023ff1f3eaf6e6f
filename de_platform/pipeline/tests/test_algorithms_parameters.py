"""Parameters are checked as a whole, and every fault is named."""

from decimal import Decimal

import pytest

from de_platform.pipeline.algorithms import build
from de_platform.pipeline.errors import InvalidInput


def faults(name: str, values: dict[str, object]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as raised:
        build(name, values)
    return {error.field: error.message for error in raised.value.errors}


def test_what_is_not_given_has_its_default():
    assert build("velocity", {"max_events": 5}).values == {"max_events": 5, "window_seconds": 60}


def test_every_fault_is_named():
    assert faults("velocity", {"max_events": 0, "window_seconds": "soon", "maxevents": 3}).keys() == {
        "max_events",
        "window_seconds",
        "maxevents",
    }


def test_an_unknown_parameter_comes_with_a_suggestion():
    assert "did you mean max_events?" in faults("velocity", {"max_event": 3})["max_event"]


@pytest.mark.parametrize("value", [True, "NaN", "1e999999999", float("inf"), None, "a lot", -1])
def test_a_threshold_is_a_finite_number_that_is_not_negative(value: object):
    assert "threshold_usd" in faults("large_notional", {"threshold_usd": value})


@pytest.mark.parametrize("value", [250_000, 250_000.0, "250000", Decimal(250_000)])
def test_a_threshold_may_be_any_way_to_write_a_number(value: object):
    assert build("large_notional", {"threshold_usd": value}).values["threshold_usd"] == Decimal(250_000)


@pytest.mark.parametrize("value", [True, 2.5, "7", 3601])
def test_whole_numbers_within_their_range_only(value: object):
    assert "window_seconds" in faults("velocity", {"window_seconds": value})


@pytest.mark.parametrize("value", ["cp-1", [1], [""], ["x" * 257], {"cp-1": 1}])
def test_a_list_of_texts_is_nothing_else(value: object):
    assert "suspicious_ids" in faults("suspicious_counterparty", {"suspicious_ids": value})


def test_an_unknown_algorithm_is_named_beside_the_known_ones():
    assert "velocity" in faults("velocty", {})["algorithm"]


@pytest.mark.parametrize("name", ["large_notional", "suspicious_counterparty", "velocity"])
def test_every_parameter_says_what_it_is_and_where_its_default_comes_from(name: str):
    for parameter in build(name).parameters.parameters:
        assert parameter.description
        assert parameter.source
        assert parameter.parse(parameter.default) == parameter.default
