"""Which paths stay within a root. Pure."""

from de_platform.pipeline.errors import FieldError, InvalidInput


def check_path(path: str) -> None:
    """Raise InvalidInput, naming every fault, unless `path` is the plain relative path of a file."""
    faults = _faults(path)
    if not path:
        faults.append("must not be empty")
    elif not faults and not all(part not in {"", "."} for part in path.split("/")):
        faults.append("must not have empty or '.' parts")
    _refuse(path, faults)


def check_prefix(prefix: str) -> None:
    """Raise InvalidInput unless `prefix` can begin the path of a file; the empty one begins all."""
    _refuse(prefix, _faults(prefix))


def _faults(path: str) -> list[str]:
    faults: list[str] = []
    if path.startswith("/"):
        faults.append("must be relative")
    if ".." in path.split("/"):
        faults.append("must not have '..' parts")
    if "\0" in path:
        faults.append("must not contain NUL")
    if not path.isascii():
        try:
            path.encode()
        except UnicodeEncodeError:
            faults.append("must be Unicode text")
    return faults


def _refuse(path: str, faults: list[str]) -> None:
    if faults:
        raise InvalidInput([FieldError("path", f"{fault}, was {path[:200]!r}") for fault in faults])
