"""Tokens of a command line become typed values, and every fault is named."""

import msgspec
import pytest

from de_platform.config.arguments import check_values, parse_arguments, settings_from, with_defaults
from de_platform.config.descriptor import ArgumentDescriptor, ArgumentType
from de_platform.pipeline.errors import InvalidInput


def argument(name: str, kind: ArgumentType = ArgumentType.STRING, **rest) -> ArgumentDescriptor:
    return ArgumentDescriptor(name=name, description=f"the {name}", type=kind, **rest)


SPECS = (
    argument("file-path"),
    argument("count", ArgumentType.INTEGER),
    argument("ratio", ArgumentType.NUMBER),
    argument("dry-run", ArgumentType.BOOLEAN),
    argument("params", ArgumentType.JSON),
    argument("event-type", choices=("order", "execution")),
)


def parse(*tokens: str, **rest) -> dict:
    return {name: list(values) for name, values in parse_arguments(tokens, SPECS, **rest).given.items()}


def faults(*tokens: str, specs=SPECS) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_arguments(tokens, specs)
    return {error.field: error.message for error in caught.value.errors}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["--file-path", "a b"], {"file-path": ["a b"]}),
        (["--file-path=a=b"], {"file-path": ["a=b"]}),
        (["--file-path="], {"file-path": [""]}),
        (["--count", "-5"], {"count": [-5]}),
        (["--ratio", "0.5"], {"ratio": [0.5]}),
        (["--dry-run"], {"dry-run": [True]}),
        (["--no-dry-run"], {"dry-run": [False]}),
        (["--dry-run=false"], {"dry-run": [False]}),
        (["--dry-run", "false", "--count", "1"], {"dry-run": [False], "count": [1]}),
        (["--params", '{"a": [1]}'], {"params": [{"a": [1]}]}),
        (["--event-type", "order"], {"event-type": ["order"]}),
    ],
)
def test_tokens_become_typed_values(tokens: list[str], expected: dict) -> None:
    assert parse(*tokens) == expected


@pytest.mark.parametrize("text", ["x", "1.5", "1_000", "٣", "", "1e3", "9" * 19])
def test_text_that_is_no_whole_number_is_refused(text: str) -> None:
    assert "whole number" in faults(f"--count={text}")["--count"]


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1_0", "x", ""])
def test_text_that_is_no_finite_number_is_refused(text: str) -> None:
    assert "number" in faults(f"--ratio={text}")["--ratio"]


def test_broken_json_is_refused() -> None:
    assert "JSON" in faults("--params", "{")["--params"]


def test_json_nested_too_deep_is_refused() -> None:
    assert "JSON" in faults("--params", "[" * 100_000)["--params"]


def test_unknown_flag_suggests_the_nearest() -> None:
    assert "did you mean --file-path?" in faults("--file-pth", "x")["--file-pth"]


def test_unlike_flag_lists_what_there_is() -> None:
    assert "--count" in faults("--zzz")["--zzz"]


def test_a_choice_that_does_not_exist_suggests_the_nearest() -> None:
    assert "did you mean order?" in faults("--event-type", "ordr")["--event-type"]


def test_value_without_flag_is_refused() -> None:
    assert "unexpected" in faults("order")["order"]


def test_flag_without_value_is_refused() -> None:
    assert "needs a value" in faults("--file-path", "--count", "3")["--file-path"]


def test_required_argument_that_is_missing_is_named() -> None:
    assert "is required" in faults(specs=[argument("rates-file", required=True)])["--rates-file"]


def test_required_argument_with_a_bad_value_is_one_fault() -> None:
    specs = [argument("count", ArgumentType.INTEGER, required=True)]
    assert faults("--count", "x", specs=specs) == {"--count": "must be a whole number, was 'x'"}


def test_argument_given_twice_is_refused() -> None:
    assert "more than once" in faults("--count", "1", "--count", "2")["--count"]


def test_repeatable_argument_keeps_every_value_in_order() -> None:
    assert parse("--count", "1", "--count", "2", repeatable=frozenset({"count"})) == {"count": [1, 2]}


def test_every_fault_is_named_at_once() -> None:
    assert faults("--count", "x", "--ratio", "y", "--nope").keys() == {"--count", "--ratio", "--nope"}


def test_defaults_fill_what_is_not_given() -> None:
    specs = [argument("count", ArgumentType.INTEGER, default=3), argument("file-path")]
    assert with_defaults(parse_arguments([], specs), specs) == {"count": 3, "file-path": None}


class Example(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    batch_size: int
    rates_file: str | None


def test_values_become_the_settings_struct() -> None:
    built = settings_from({"batch-size": 3, "rates-file": None}, Example)
    assert built == Example(batch_size=3, rates_file=None)


def test_every_value_that_the_struct_refuses_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        settings_from({"batch-size": "x", "rates-file": 5}, Example)
    assert {error.field for error in caught.value.errors} == {"--batch-size", "--rates-file"}


def value_faults(**given: object) -> set[str]:
    with pytest.raises(InvalidInput) as caught:
        check_values({name.replace("_", "-"): value for name, value in given.items()}, SPECS, at="SETTING module")
    return {error.field for error in caught.value.errors}


def test_values_of_a_setting_are_checked_like_those_of_a_line() -> None:
    found = value_faults(count="3", event_type="ordr", nope=1)
    assert found == {"SETTING module.count", "SETTING module.event-type", "SETTING module.nope"}


def test_values_of_a_setting_that_fit_are_taken() -> None:
    check_values({"count": 3, "ratio": 1, "dry-run": True, "event-type": "order"}, SPECS, at="SETTING module")
