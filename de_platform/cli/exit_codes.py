"""What the exit code of every command means."""

from enum import IntEnum

from de_platform.pipeline.errors import InvalidInput, Unavailable


class ExitCode(IntEnum):
    """Exit codes; scripts may rely on them."""

    OK = 0
    """Done; for a service: stopped in order, nothing left behind."""
    FAILED = 1
    """A check, a job or a phase failed, or a defect ended the process; the log says which."""
    USAGE = 2
    """What was typed or configured is wrong; the message names every fault."""
    UNAVAILABLE = 3
    """Something that is needed does not answer; the same command may succeed later."""
    NOT_DRAINED = 4
    """Stopped, but not in order: time ran out or closing failed. Restarting loses nothing."""
    INTERRUPTED = 130
    """Stopped by a second Ctrl-C."""


def code_of(error: BaseException) -> ExitCode:
    """Return the exit code that an exception at the process boundary stands for."""
    match error:
        case InvalidInput():
            return ExitCode.USAGE
        case Unavailable():
            return ExitCode.UNAVAILABLE
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.FAILED
