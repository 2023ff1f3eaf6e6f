"""How the App of every command is made, so that they look and behave alike."""

from collections.abc import Sequence

from cyclopts import App


def make_app(name: str, examples: str, *, help_flags: Sequence[str] = ("--help", "-h")) -> App:
    """Return the App of a command; its help begins with the examples."""
    return App(
        name=f"de-platform {name}",
        help_prologue=examples,
        help_format="plaintext",
        help_formatter="plain",
        help_flags=help_flags,
        version_flags=(),
    )
