"""Every module is what its descriptor says."""

import re
import typing
from pathlib import Path

import msgspec
import pytest

from de_platform import modules
from de_platform.cli.catalog import ModuleCatalog, settings_type
from de_platform.cli.run import RESERVED_ARGUMENT_NAMES, describe
from de_platform.config.arguments import parse_arguments, settings_from, with_defaults
from de_platform.config.descriptor import ArgumentDescriptor, ArgumentType
from de_platform.modules.base import Module

MODULES_ROOT = Path(modules.__path__[0])
CATALOG = ModuleCatalog()
NAMES = CATALOG.names()
MAX_MAIN_LINES = 120
"""After the imports, which grow with what is injected."""
_PYTHON_TYPE = {
    ArgumentType.STRING: str,
    ArgumentType.INTEGER: int,
    ArgumentType.NUMBER: float,
    ArgumentType.BOOLEAN: bool,
}

every_module = pytest.mark.parametrize("name", NAMES)


def settings_fields(name: str) -> dict[str, msgspec.structs.FieldInfo]:
    wanted = settings_type(CATALOG.load_class(name))
    return {} if wanted is None else {field.encode_name: field for field in msgspec.structs.fields(wanted)}


def sample(argument: ArgumentDescriptor) -> str:
    if argument.choices:
        return str(argument.choices[0])
    return {ArgumentType.JSON: "{}", ArgumentType.BOOLEAN: "true", ArgumentType.STRING: "x"}.get(argument.type, "1")


def test_every_directory_of_modules_has_a_descriptor() -> None:
    packages = {path.parent.name for path in MODULES_ROOT.glob("*/__init__.py")}
    assert packages == set(NAMES)


@every_module
def test_descriptor_is_valid(name: str) -> None:
    assert CATALOG.descriptor(name).name == name


@every_module
def test_main_py_ends_with_its_module_class(name: str) -> None:
    module = CATALOG.load_class(name)
    text = (MODULES_ROOT / name / "main.py").read_text()
    assert issubclass(module, Module)
    assert text.rstrip().splitlines()[-1] == f"module_class = {module.__name__}"


@every_module
def test_main_py_reads_like_a_table_of_contents(name: str) -> None:
    lines = (MODULES_ROOT / name / "main.py").read_text().splitlines()
    last_import = max(n for n, line in enumerate(lines) if line.startswith(("import ", "from ", ")")))
    assert len(lines) - last_import <= MAX_MAIN_LINES


@every_module
def test_settings_have_a_field_for_every_argument_and_no_other(name: str) -> None:
    assert {argument.name for argument in CATALOG.descriptor(name).args} == set(settings_fields(name))


@every_module
def test_settings_state_no_default_of_their_own(name: str) -> None:
    assert [field.name for field in settings_fields(name).values() if not field.required] == []


@every_module
def test_settings_take_what_the_descriptor_gives(name: str) -> None:
    arguments = CATALOG.descriptor(name).args
    fields = settings_fields(name)
    for argument in arguments:
        hint = fields[argument.name].type
        may_be_none = type(None) in typing.get_args(hint)
        assert may_be_none == (not argument.required and argument.default is None), argument.name
        if argument.type in _PYTHON_TYPE:
            assert _PYTHON_TYPE[argument.type] in (hint, *typing.get_args(hint)) or argument.choices, argument.name


@every_module
def test_arguments_do_not_collide_with_global_flags(name: str) -> None:
    assert {argument.name for argument in CATALOG.descriptor(name).args} & RESERVED_ARGUMENT_NAMES == set()


@every_module
def test_defaults_and_required_arguments_make_valid_settings(name: str) -> None:
    arguments = CATALOG.descriptor(name).args
    words = [f"--{a.name}={sample(a)}" for a in arguments if a.required]
    values = with_defaults(parse_arguments(words, arguments), arguments)
    wanted = settings_type(CATALOG.load_class(name))
    assert wanted is None or settings_from(values, wanted) is not None


@every_module
def test_help_tells_every_argument(name: str) -> None:
    module = CATALOG.descriptor(name)
    text = describe(module)
    assert module.description in text
    assert [a.name for a in module.args if f"--{a.name}" not in text] == []


@every_module
def test_docstring_tells_consumes_produces_effects_and_crash(name: str) -> None:
    found = re.match(r'"""(.+?)"""', (MODULES_ROOT / name / "main.py").read_text(), re.DOTALL)
    assert found is not None
    docstring = " ".join(found[1].split())
    assert [word for word in ("Consumes", "Produces", "Effects in order", "On crash") if word not in docstring] == []


@every_module
def test_module_has_tests_of_its_own(name: str) -> None:
    assert list((MODULES_ROOT / name / "tests").glob("test_*.py"))
