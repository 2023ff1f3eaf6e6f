"""What runs where in an embedded platform: modules with their arguments by process, and ports."""

import socket
from collections.abc import Mapping
from contextlib import closing

from de_platform.cli.catalog import ModuleCatalog
from de_platform.config.arguments import check_values
from de_platform.config.descriptor import ArgumentValue
from de_platform.config.settings import Settings
from de_platform.config.suggestions import suggestion
from de_platform.pipeline.errors import FieldError, InvalidInput

HEALTH = "health"
METRICS = "metrics"
_HEALTH_PORT = 8080
_METRICS_PORT = 9091
_PORT = "port"
_ARGUMENTS = "DE_PLATFORM_MODULE_ARGUMENTS"
_MODULES: Mapping[str, str] = {"pipeline": "DE_PLATFORM_PIPELINE_MODULES", "edge": "DE_PLATFORM_EDGE_MODULES"}
"""Which setting says what a process of `up` runs."""

ModuleValues = dict[str, dict[str, ArgumentValue]]
"""Values of all arguments by module."""


def modules_of(process: str, settings: Settings, catalog: ModuleCatalog | None = None) -> ModuleValues:
    """Return what a process runs: arguments from the setting, else their defaults; ports are moved by the offset.

    Raises InvalidInput with every fault: modules that there are not, arguments that do not fit or are missing.
    """
    known = catalog or ModuleCatalog()
    given = settings.objects(_ARGUMENTS)
    offset = settings.whole_number("DE_PLATFORM_PORT_OFFSET")
    modules: ModuleValues = {}
    faults: list[FieldError] = []
    for name in settings.names(_MODULES[process]):
        try:
            arguments = known.descriptor(name).args
            check_values(given.get(name, {}), arguments, at=f"{_ARGUMENTS} {name}")
        except InvalidInput as error:
            faults.extend(error.errors)
            continue
        values = {argument.name: given.get(name, {}).get(argument.name, argument.default) for argument in arguments}
        if _PORT in values:
            values[_PORT] += offset
        modules[name] = values
    if faults:
        raise InvalidInput(faults)
    return modules


def ports_of(settings: Settings, catalog: ModuleCatalog | None = None) -> dict[str, int]:
    """Return every port that `up` listens on, by module, with those of health and metrics.

    Raises InvalidInput for faults of the modules, and for arguments of modules that `up` does not run.
    """
    modules = {name: values for process in _MODULES for name, values in modules_of(process, settings, catalog).items()}
    strays = sorted(settings.objects(_ARGUMENTS).keys() - modules.keys())
    if strays:
        faults = [f"{name} is not run by `up`; {suggestion(name, modules)}" for name in strays]
        raise InvalidInput([FieldError(_ARGUMENTS, fault) for fault in faults])
    offset = settings.whole_number("DE_PLATFORM_PORT_OFFSET")
    served = {name: int(values[_PORT]) for name, values in modules.items() if _PORT in values}
    return {**served, HEALTH: _HEALTH_PORT + offset, METRICS: _METRICS_PORT + offset}


def url_of(port: int, bind_host: str) -> str:
    """Return the address at which this machine reaches a port that is bound to `bind_host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bind_host, bind_host)  # noqa: S104 - recognised, not bound
    return f"http://{host}:{port}"


def check_ports(ports: Mapping[str, int], host: str) -> None:
    """Raise InvalidInput with every port that is in use or out of range."""
    faults: list[FieldError] = []
    for name, port in ports.items():
        try:
            with closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            fault = f"port {port} of {name} cannot be had ({error.strerror}); choose another offset"
            faults.append(FieldError("--port-offset", fault))
        except OverflowError:
            faults.append(FieldError("--port-offset", f"port {port} of {name} is out of range"))
    if faults:
        raise InvalidInput(faults)
