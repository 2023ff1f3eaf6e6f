"""How a consumer loop paces itself, and when it gives up."""

import msgspec


class LoopOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes, intervals and limits of one loop."""

    max_batch_records: int = 5000
    poll_timeout_seconds: float = 0.1
    """After this long without a record a partition is quiet, and is checkpointed at once (see below)."""
    checkpoint_interval_seconds: float = 1.0
    checkpoints_when_quiet: bool = True
    """False where every checkpoint costs the same however little it holds: then the interval decides alone."""
    first_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0
    max_consecutive_errors: int = 50
    """Defects in a row (not invalid input, not an unavailable dependency) after which the loop gives up."""


class TooManyErrors(Exception):
    """The consecutive-error threshold is reached: something is broken for good, a restart or a person must help."""

    def __init__(self, group: str, count: int) -> None:
        super().__init__(f"{group}: {count} errors in a row")
