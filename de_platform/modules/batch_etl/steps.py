"""The three kinds of steps that an operator can plug in, and how they are found by name.

A dotted path runs code: it comes from the operator's own command line, never from a request.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from de_platform.pipeline.errors import InvalidInput

Item = object
"""Whatever the steps of one run agree on; picklable where a step runs in processes."""

Parameters = Mapping[str, object]

Kind = TypeVar("Kind")


class Extractor(ABC):
    """Where items come from."""

    @abstractmethod
    def extract(self) -> Iterator[Item]:
        """Yield items lazily, in order."""


class Transformer(ABC):
    """What happens to an item. Called from several threads or processes at once if the operator asks for it."""

    @abstractmethod
    def transform(self, item: Item) -> Item | None:
        """Return what the item becomes; None drops it."""


class Loader(ABC):
    """Where items go."""

    @abstractmethod
    async def load(self, batch: Sequence[Item]) -> None:
        """Store a batch, durable on return."""

    async def close(self) -> None:  # noqa: B027 - optional
        """Finish; called once behind the last batch of a run that succeeded."""


def build(kind: type[Kind], path: str, parameters: Parameters) -> Kind:
    """Make the object that a dotted path and constructor arguments name.

    Raises InvalidInput when there is no such class, it is of another kind, or it refuses the arguments.
    """
    word = kind.__name__.lower()
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise InvalidInput.single(f"--{word}", f"must be a dotted path like package.module.Class, was {path!r}")
    try:
        found: object = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise InvalidInput.single(f"--{word}", f"{path}: {error}") from error
    if not isinstance(found, type) or not issubclass(found, kind):
        raise InvalidInput.single(f"--{word}", f"{path} is not a subclass of {kind.__name__}")
    try:
        return found(**parameters)
    except TypeError as error:
        raise InvalidInput.single(f"--{word}-params", f"{path}: {error}") from error
