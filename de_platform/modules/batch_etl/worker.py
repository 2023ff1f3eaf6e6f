"""What runs inside a worker process of a parallel transformation: each process builds its own transformer, once."""

from functools import partial

from de_platform.modules.batch_etl.steps import Item, Parameters, Transformer, build

_built: dict[tuple[str, int], Transformer] = {}


def prepare(path: str, position: int, parameters: Parameters) -> None:
    """Build this process's transformer."""
    _built[path, position] = build(Transformer, path, parameters)


def transform(path: str, position: int, item: Item) -> Item | None:
    """Apply the transformer that `prepare` built."""
    return _built[path, position].transform(item)


def functions(path: str, position: int, parameters: Parameters) -> tuple[partial[None], partial[Item | None]]:
    """Return initializer and step of a pool, both picklable."""
    return partial(prepare, path, position, parameters), partial(transform, path, position)
