"""The modules of this installation, known by their descriptors without importing any of them."""

import importlib
from pathlib import Path
from typing import cast, get_type_hints

from de_platform import modules
from de_platform.config.descriptor import ModuleDescriptor, parse_descriptor
from de_platform.config.suggestions import suggestion
from de_platform.modules.base import Module, ModuleSettings
from de_platform.pipeline.errors import FieldError, InvalidInput

DESCRIPTOR_FILE = "module.json"


class ModuleCatalog:
    """Finds modules below one package."""

    def __init__(self, root: Path = Path(modules.__path__[0]), package: str = modules.__name__) -> None:
        self._root = root
        self._package = package

    def names(self) -> list[str]:
        """Return the names of all modules, sorted."""
        return sorted(path.parent.name for path in self._root.glob(f"*/{DESCRIPTOR_FILE}"))

    def descriptor(self, name: str) -> ModuleDescriptor:
        """Return what `module.json` says. Raises InvalidInput for an unknown name and for every fault of the file."""
        names = self.names()
        if name not in names:
            raise InvalidInput.single("", f"unknown module {name}; {suggestion(name, names)}")
        path = self._root / name / DESCRIPTOR_FILE
        try:
            descriptor = parse_descriptor(path.read_bytes())
        except InvalidInput as error:
            located = [FieldError(f"{name}/{DESCRIPTOR_FILE} {fault.field}", fault.message) for fault in error.errors]
            raise InvalidInput(located) from error
        if descriptor.name != name:
            raise InvalidInput.single(f"{name}/{DESCRIPTOR_FILE} name", f"must be {name}, was {descriptor.name}")
        return descriptor

    def load_class(self, name: str) -> type[Module]:
        """Import a module's class."""
        return cast(type[Module], importlib.import_module(f"{self._package}.{name}.main").module_class)


def settings_type(module: type[Module]) -> type[ModuleSettings] | None:
    """Return the settings struct that a module's constructor asks for, or None."""
    for hint in get_type_hints(module.__init__).values():
        if isinstance(hint, type) and issubclass(hint, ModuleSettings):
            return hint
    return None
