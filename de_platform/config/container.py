"""Constructor injection by type: what is needed is named by annotations, opened on first use, closed in reverse."""

import inspect
import types
import typing
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast

T = TypeVar("T")
Factory = Callable[["Container"], AbstractAsyncContextManager[T]]


class InjectionError(Exception):
    """A constructor asks for what the container cannot give: a defect of the module or of the wiring."""


class _Need(NamedTuple):
    name: str
    wanted: type
    is_optional: bool
    """Left to its default, or None, when nothing is registered for it."""
    has_default: bool


class Container:
    """Instances by type, each made at most once. Leaving the container closes what it opened, last first."""

    def __init__(self, parent: "Container | None" = None) -> None:
        self._parent = parent
        self._instances: dict[type, object] = {}
        self._factories: dict[type, Factory[Any]] = {}
        self._opening: list[type] = []
        self._stack = AsyncExitStack()

    def register_instance(self, wanted: type[T], instance: T) -> None:
        """Offer an object that somebody else closes."""
        self._instances[wanted] = instance

    def register_factory(self, wanted: type[T], factory: Factory[T]) -> None:
        """Offer what a context manager opens when it is first needed, and closes with the container."""
        self._factories[wanted] = factory

    def child(self) -> "Container":
        """Return a container that falls back to this one; what it registers stays its own. Close it first."""
        return Container(self)

    async def resolve(self, wanted: type[T]) -> T:
        """Return the instance for a type. Raises InjectionError, and whatever its factory raises."""
        if wanted in self._instances:
            return cast(T, self._instances[wanted])
        factory = self._factories.get(wanted)
        if factory is None:
            if self._parent is not None:
                return await self._parent.resolve(wanted)
            raise InjectionError(f"nothing is registered for {wanted.__name__}; there are {self._listing()}")
        if wanted in self._opening:
            circle = " needs ".join(each.__name__ for each in (*self._opening, wanted))
            raise InjectionError(f"a circle of needs: {circle}")
        self._opening.append(wanted)
        try:
            instance = await self._stack.enter_async_context(factory(self))
        finally:
            self._opening.pop()
        self._instances[wanted] = instance
        return cast(T, instance)

    async def construct(self, wanted: type[T]) -> T:
        """Make a new object, its constructor's parameters resolved by their annotations.

        `X | None` and parameters with a default are left out when nothing is registered for them.
        Raises InjectionError that names the parameter.
        """
        arguments: dict[str, object] = {}
        for need in _needs(wanted):
            if need.is_optional and not self._offers(need.wanted):
                if not need.has_default:
                    arguments[need.name] = None
                continue
            try:
                arguments[need.name] = await self.resolve(need.wanted)
            except InjectionError as error:
                raise InjectionError(f"{wanted.__name__}({need.name}: {need.wanted.__name__}): {error}") from error
        return wanted(**arguments)

    def is_open(self, wanted: type) -> bool:
        """Say whether an instance exists already, here or in a parent."""
        return wanted in self._instances or (self._parent is not None and self._parent.is_open(wanted))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def _offers(self, wanted: type) -> bool:
        known = wanted in self._instances or wanted in self._factories
        return known or (self._parent is not None and self._parent._offers(wanted))

    def _listing(self) -> str:
        return ", ".join(sorted({each.__name__ for each in (*self._instances, *self._factories)})) or "none"


def _needs(wanted: type) -> list[_Need]:
    try:
        hints = typing.get_type_hints(wanted.__init__)
    except NameError as error:
        raise InjectionError(f"{wanted.__name__}: an annotation names {error.name}, which is not defined") from error
    needs: list[_Need] = []
    for name, parameter in list(inspect.signature(wanted.__init__).parameters.items())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name not in hints:
            raise InjectionError(f"{wanted.__name__}({name}): has no annotation to inject by")
        has_default = parameter.default is not parameter.empty
        base, is_nullable = _without_none(hints[name])
        if not isinstance(base, type):
            raise InjectionError(f"{wanted.__name__}({name}): {base} is not a class to inject by")
        needs.append(_Need(name, base, is_nullable or has_default, has_default))
    return needs


def _without_none(hint: object) -> tuple[object, bool]:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    return (members[0] if len(members) == 1 else hint), True
