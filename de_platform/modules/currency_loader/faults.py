"""Collecting what is wrong with a file of rates, all of it, without drowning the reader."""

from de_platform.pipeline.errors import FieldError, InvalidInput

MAX_NAMED_FAULTS = 100


class Faults:
    """Faults by place; the first `MAX_NAMED_FAULTS` are named, the others counted."""

    def __init__(self) -> None:
        self._named: list[FieldError] = []
        self._count = 0

    def add(self, place: str, message: str) -> None:
        """Note one fault."""
        self._count += 1
        if len(self._named) < MAX_NAMED_FAULTS:
            self._named.append(FieldError(place, message))

    def raise_if_any(self) -> None:
        """Raise InvalidInput if there was a fault."""
        if self._count > len(self._named):
            self._named.append(FieldError("", f"and {self._count - len(self._named)} more"))
        if self._named:
            raise InvalidInput(self._named)
