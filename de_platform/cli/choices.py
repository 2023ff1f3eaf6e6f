"""Which implementation of each service a process uses."""

from collections.abc import Mapping, Sequence

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.registry import IMPLEMENTATIONS, ServiceFlag, check_known

ANALYTICAL_DATABASES = ("events",)
RELATIONAL_DATABASES = (
    "warehouse",
    "reference",
    "alerts",
    "client_config",
    "auth",
    "data_audit",
    "task_scheduler",
)
_ENGINES: Mapping[str, Sequence[str]] = {
    "memory": (*ANALYTICAL_DATABASES, *RELATIONAL_DATABASES),
    "embedded": RELATIONAL_DATABASES,
    "postgres": RELATIONAL_DATABASES,
    "chdb": ANALYTICAL_DATABASES,
    "clickhouse": ANALYTICAL_DATABASES,
}
"""Which databases an implementation without a name before it stands for."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """Names of implementations; None where none was chosen, which is an error only if a module needs it."""

    mq: str | None = None
    db: Mapping[str, str] = {}
    """Implementation by database name."""
    fs: str | None = None
    cache: str | None = None
    metrics: str | None = None
    log: str | None = None

    def over(self, other: "Choices") -> "Choices":
        """Return these choices, and those of `other` where there are none here."""
        return Choices(
            mq=self.mq or other.mq,
            db={**other.db, **self.db},
            fs=self.fs or other.fs,
            cache=self.cache or other.cache,
            metrics=self.metrics or other.metrics,
            log=self.log or other.log,
        )

    def check(self) -> None:
        """Raise InvalidInput with every name that the registry does not have."""
        named = [
            (ServiceFlag.MQ, self.mq),
            (ServiceFlag.FS, self.fs),
            (ServiceFlag.CACHE, self.cache),
            (ServiceFlag.METRICS, self.metrics),
            (ServiceFlag.LOG, self.log),
            *((ServiceFlag.DB, name) for name in dict.fromkeys(self.db.values())),
        ]
        faults: list[FieldError] = []
        for flag, name in named:
            try:
                if name is not None:
                    check_known(flag, name)
            except InvalidInput as error:
                faults.extend(error.errors)
        if faults:
            raise InvalidInput(faults)


def parse_databases(values: Sequence[str]) -> dict[str, str]:
    """Read values of `--db`: `name=implementation`, or an implementation for all databases that it can serve.

    A named one wins over an unnamed one, wherever it stands. Raises InvalidInput.
    """
    unnamed: dict[str, str] = {}
    named: dict[str, str] = {}
    for value in values:
        name, equals, chosen = value.partition("=")
        if not equals:
            check_known(ServiceFlag.DB, value)
            unnamed.update(dict.fromkeys(_ENGINES[value], value))
        elif not name or not chosen:
            raise InvalidInput.single("--db", f"must be name=implementation, was {value!r}")
        else:
            check_known(ServiceFlag.DB, chosen)
            named[name] = chosen
    return {**unnamed, **named}


def needed(flag: ServiceFlag, chosen: str | None) -> str:
    """Return what was chosen. Raises InvalidInput that lists what there is to choose."""
    if chosen is None:
        names = ", ".join(IMPLEMENTATIONS[flag])
        raise InvalidInput.single(
            f"--{flag}", f"is needed here: choose one of {names}, or name a running platform with --data-dir"
        )
    return chosen


EMBEDDED = Choices(
    mq="local", fs="local", cache="embedded", metrics="prometheus", db=parse_databases(["postgres", "clickhouse"])
)
"""What the processes of `up` use; its store process serves the embedded engines as what they are."""
