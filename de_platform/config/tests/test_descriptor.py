"""A `module.json` is checked whole, and every fault is named by its path."""

import json

import pytest

from de_platform.config.descriptor import ArgumentType, ModuleType, parse_descriptor
from de_platform.pipeline.errors import InvalidInput


def descriptor(**changes) -> dict:
    return {
        "name": "file_processor",
        "display_name": "File processor",
        "description": "Reads files.",
        "version": "1.0.0",
        "type": "job",
        "args": [],
        **changes,
    }


def argument(**changes) -> dict:
    return {"name": "file-path", "description": "which file", "type": "string", **changes}


def faults(raw: object) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_descriptor(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return {error.field: error.message for error in caught.value.errors}


def test_valid_descriptor_is_read_whole() -> None:
    args = [argument(required=True), argument(name="size", type="integer", default=5, choices=[5, 6])]
    read = parse_descriptor(json.dumps(descriptor(args=args)).encode())
    assert (read.name, read.type) == ("file_processor", ModuleType.JOB)
    assert [a.name for a in read.args] == ["file-path", "size"]
    assert read.args[1].type is ArgumentType.INTEGER
    assert read.args[1].choices == (5, 6)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    assert "" in faults(raw)


def test_every_fault_is_named_at_once() -> None:
    raw = descriptor(type="cron", version="one", extra=1, args=[argument(type="text"), argument(nme="x", name=7)])
    del raw["description"]
    assert faults(raw).keys() == {"type", "extra", "description", "args[0].type", "args[1].nme", "args[1].name"}


def test_unknown_key_suggests_the_nearest() -> None:
    assert "display_name" in faults(descriptor(displayname="x"))["displayname"]


@pytest.mark.parametrize("name", ["File", "file-processor", "2file", "", "file__x"])
def test_module_name_must_be_snake_case(name: str) -> None:
    assert "name" in faults(descriptor(name=name))


@pytest.mark.parametrize("name", ["file_path", "File", "-x", "no-dry-run"])
def test_argument_name_must_be_kebab_case_and_not_negated(name: str) -> None:
    assert "args[0].name" in faults(descriptor(args=[argument(name=name)]))


def test_argument_described_twice_is_refused() -> None:
    assert "2 times" in faults(descriptor(args=[argument(), argument()]))["args"]


@pytest.mark.parametrize(
    ("kind", "default"),
    [("integer", "5"), ("integer", True), ("integer", 1.5), ("string", 5), ("boolean", 1), ("number", "1")],
)
def test_default_of_another_type_is_refused(kind: str, default: object) -> None:
    assert "args[0].default" in faults(descriptor(args=[argument(type=kind, default=default)]))


def test_default_outside_the_choices_is_refused() -> None:
    assert "args[0].default" in faults(descriptor(args=[argument(default="c", choices=["a", "b"])]))


def test_choice_of_another_type_is_refused() -> None:
    assert "args[0].choices" in faults(descriptor(args=[argument(choices=["a", 2])]))


def test_required_argument_with_a_default_is_refused() -> None:
    assert "args[0].default" in faults(descriptor(args=[argument(required=True, default="x")]))
