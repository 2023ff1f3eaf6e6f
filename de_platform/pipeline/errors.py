"""The platform's exceptions.

PlatformError
├── InvalidInput     what a client or operator sent is wrong: dead letter, error record or 4xx; never retried
├── Unavailable      a dependency cannot be reached right now: back off, pause, 503; always retried
└── (anything else is a defect of ours and crashes, or is counted by the consecutive-error threshold)
"""

from collections.abc import Sequence

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with one field. `field` is a dotted path; empty means the whole value."""

    field: str
    message: str


class PlatformError(Exception):
    """Base of all errors that the platform raises on purpose."""


class InvalidInput(PlatformError):
    """Input from outside breaks a rule; `errors` names every fault, not only the first."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in self.errors))

    @classmethod
    def single(cls, field: str, message: str) -> "InvalidInput":
        """Build the common case of one fault."""
        return cls([FieldError(field, message)])


class Unavailable(PlatformError):
    """A dependency does not answer; what was asked may be asked again, unchanged."""

    def __init__(self, dependency: str, reason: str) -> None:
        self.dependency = dependency
        self.reason = reason
        super().__init__(f"{dependency} is unavailable: {reason}")
