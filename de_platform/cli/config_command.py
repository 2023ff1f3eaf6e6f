"""`de-platform config show`: which settings are in force, and where each came from."""

from typing import Annotated

from cyclopts import Parameter

from de_platform.cli.apps import make_app
from de_platform.cli.global_flags import GlobalFlags, surroundings
from de_platform.cli.output import OutputFlag, OutputFormat, print_rows

EXAMPLES = """Examples:

    de-platform config show
    de-platform config show --origin
    de-platform config show --origin --env-file pipeline.env -o json
"""

app = make_app("config", EXAMPLES)


@app.command(name="show")
def show(
    *,
    origin: Annotated[bool, Parameter(help="say where each value came from", negative=())] = False,
    output: OutputFlag = OutputFormat.TABLE,
    flags: GlobalFlags | None = None,
) -> None:
    """Show every setting in force; secrets are masked."""
    settings = surroundings(flags or GlobalFlags()).settings
    rows = [
        {
            "name": setting.name,
            "value": setting.shown(),
            "origin": f"{setting.origin} {setting.source}".rstrip(),
        }
        for setting in settings.listing()
    ]
    print_rows(rows, ["name", "value", "origin"] if origin else ["name", "value"], output)
