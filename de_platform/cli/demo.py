"""`de-platform demo`: the whole platform in a directory of its own, with generated history and live events.

The events come from a process beside those of `up`, through the real intake; it ends with this one, however
this one ends.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from de_platform.cli.apps import make_app
from de_platform.cli.global_flags import GlobalFlags, Surroundings, surroundings
from de_platform.cli.instance import RunningInstance
from de_platform.cli.up import greeting

DEFAULT_DATA_DIR = ".demo"
_ARGUMENTS = "DE_PLATFORM_MODULE_ARGUMENTS"
_FIRST_RESTART_SECONDS = 0.5
_LONGEST_RESTART_SECONDS = 30.0
_FEED_GRACE_SECONDS = 10.0

EXAMPLES = f"""Examples:

    de-platform demo                         everything in {DEFAULT_DATA_DIR} of this directory
    de-platform demo --days 3 --rate 20      less history, livelier
    de-platform demo --port-offset 100       beside another platform
"""

app = make_app("demo", EXAMPLES)
feed_app = make_app("demo-feed", "")


@app.default
def demo(
    *,
    data_dir: Annotated[str, Parameter(help="where everything is kept; created if need be")] = DEFAULT_DATA_DIR,
    port_offset: Annotated[int | None, Parameter(help="added to every port")] = None,
    seed: Annotated[int, Parameter(help="the same seed gives the same history")] = 7,
    days: Annotated[int, Parameter(help="days of history, sent at the first start")] = 30,
    rate: Annotated[float, Parameter(help="live events a second")] = 5.0,
    env_file: Annotated[str | None, Parameter(help="file of NAME=value lines, over the environment")] = None,
    env: Annotated[str | None, Parameter(help="JSON object of settings, over the environment and the file")] = None,
) -> int:
    """Run the platform with demo data until Ctrl-C."""
    from de_platform.cli.embedded_platform import run_platform  # noqa: PLC0415 - slow to import

    flags = GlobalFlags(env_file=env_file, env=env, data_dir=data_dir)
    what = ("--seed", str(seed), "--days", str(days), "--rate", str(rate))

    async def on_ready(instance: RunningInstance) -> None:
        sys.stdout.write(greeting(instance) + demo_greeting(instance))
        sys.stdout.flush()
        await keep_feeding(feed_command(instance, what))

    return run_platform(demo_surroundings(flags, port_offset), on_ready=on_ready)


@feed_app.default
def feed(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run the generator for as long as the process that started it lives."""
    from de_platform.cli.parent_watch import end_with_parent  # noqa: PLC0415 - only here
    from de_platform.cli.run import run  # noqa: PLC0415 - only here

    end_with_parent(grace_seconds=_FEED_GRACE_SECONDS)
    return run("generator", *words, "--health-port", "0")


def demo_surroundings(flags: GlobalFlags, port_offset: int | None) -> Surroundings:
    """Return the settings of a demo: those given, and a watch list with the demo's listed counterparties.

    Raises InvalidInput with every fault.
    """
    from de_platform.pipeline.generator.tenants import LISTED_COUNTERPARTIES  # noqa: PLC0415 - only the demo needs it

    values = {} if port_offset is None else {"DE_PLATFORM_PORT_OFFSET": str(port_offset)}
    given = surroundings(flags, find_instance=False, flag_values=values).settings.objects(_ARGUMENTS)
    watched = {"suspicious-counterparty-ids": list(LISTED_COUNTERPARTIES), **given.get("algos", {})}
    arguments = msgspec.json.encode({**given, "algos": watched}).decode()
    return surroundings(flags, find_instance=False, flag_values={**values, _ARGUMENTS: arguments})


def demo_greeting(instance: RunningInstance) -> str:
    """Return who is in the demo, where the planted abuse is listed, and how to wipe everything."""
    from de_platform.pipeline.generator.tenants import DEMO_TENANTS  # noqa: PLC0415 - only the demo needs it

    expected = Path(instance.environment["FS_LOCAL_ROOT"]) / "demo" / "expected_alerts.json"
    tenants = "".join(f"    {tenant.tenant_id:<15} {tenant.name}\n" for tenant in DEMO_TENANTS)
    return (
        f"Demo tenants:\n\n{tenants}\n"
        f"    Planted abuse   {expected}\n"
        f"    Wipe            stop it, then: rm -r {instance.environment['DE_PLATFORM_DATA_DIR']}\n\n"
    )


def feed_command(instance: RunningInstance, what: Sequence[str]) -> Sequence[str]:
    """Return the command line of the process that sends the demo's events."""
    data_dir = instance.environment["DE_PLATFORM_DATA_DIR"]
    target = ("--data-dir", data_dir, "--target-url", instance.urls["rest_starter"])
    return (sys.executable, "-m", "de_platform", "demo-feed", *target, *what)


async def keep_feeding(command: Sequence[str]) -> None:
    """Run the process until it ends with 0; start it again when it dies. On cancellation it is asked to stop."""
    delay = _FIRST_RESTART_SECONDS
    while True:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, env=os.environ, start_new_session=True
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if code == 0:
            return
        sys.stderr.write(f"the demo's feed ended with {code}, it starts again in {delay:g} s\n")
        await asyncio.sleep(delay)
        delay = min(delay * 2, _LONGEST_RESTART_SECONDS)
