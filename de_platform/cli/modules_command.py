"""`de-platform modules`: what can be run."""

from de_platform.cli.apps import make_app
from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.output import OutputFlag, OutputFormat, print_rows

EXAMPLES = """Examples:

    de-platform modules
    de-platform modules -o json
"""

app = make_app("modules", EXAMPLES)


@app.default
def list_modules(*, output: OutputFlag = OutputFormat.TABLE) -> None:
    """List the modules that can be run."""
    catalog = ModuleCatalog()
    rows = [
        {"name": module.name, "type": module.type, "version": module.version, "description": module.description}
        for module in map(catalog.descriptor, catalog.names())
    ]
    print_rows(rows, ["name", "type", "version", "description"], output)
