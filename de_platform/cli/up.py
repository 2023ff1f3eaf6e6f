"""`de-platform up`: the whole platform on this machine, until it is stopped."""

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from de_platform.cli.apps import make_app
from de_platform.cli.global_flags import GlobalFlags, surroundings
from de_platform.cli.instance import RunningInstance

EXAMPLES = """Examples:

    de-platform up
    de-platform up --data-dir ~/platform
    de-platform up --data-dir /tmp/second --port-offset 100
"""

app = make_app("up", EXAMPLES)


@app.default
def up(
    *,
    data_dir: Annotated[str | None, Parameter(help="where everything is kept; created if need be")] = None,
    port_offset: Annotated[int | None, Parameter(help="added to every port")] = None,
    env_file: Annotated[str | None, Parameter(help="file of NAME=value lines, over the environment")] = None,
    env: Annotated[str | None, Parameter(help="JSON object of settings, over the environment and the file")] = None,
) -> int:
    """Run databases, pipeline, APIs and user interface until Ctrl-C."""
    from de_platform.cli.embedded_platform import run_platform  # noqa: PLC0415 - slow to import

    flags = GlobalFlags(env_file=env_file, env=env, data_dir=data_dir)
    offset = {} if port_offset is None else {"DE_PLATFORM_PORT_OFFSET": str(port_offset)}
    return run_platform(surroundings(flags, find_instance=False, flag_values=offset), on_ready=greet)


async def greet(instance: RunningInstance) -> None:
    """Say what there is now, and how to end it."""
    sys.stdout.write(greeting(instance))
    sys.stdout.flush()


def greeting(instance: RunningInstance) -> str:
    """Return addresses, the data directory and how to stop."""
    lines = [
        ("User interface", _address(instance, "data_api", "/ui")),
        ("API", _address(instance, "data_api", "/api/docs")),
        ("Intake", _address(instance, "rest_starter", "/api/v1")),
        ("Health", _address(instance, "health", "/health/ready")),
        ("Metrics", _address(instance, "metrics", "/metrics")),
        ("Data", instance.environment["DE_PLATFORM_DATA_DIR"]),
        ("Stop", f"Ctrl-C, or kill {os.getpid()}"),
    ]
    shown = "".join(f"    {title:<15} {value}\n" for title, value in lines if value)
    return f"\nThe platform is ready.\n\n{shown}\n"


def _address(instance: RunningInstance, name: str, path: str) -> str:
    url = instance.urls.get(name)
    return f"{url}{path}" if url else ""
