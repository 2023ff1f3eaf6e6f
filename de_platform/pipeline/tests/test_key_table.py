import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.key_table import KeyTable

KEYS = st.lists(st.integers(0, 40), max_size=30)


def keys_of(names: list[int]) -> np.ndarray:
    """Return keys that crowd a few slots: eight homes, four tags, two strides."""
    high = np.array([name % 8 for name in names], np.uint64)
    low = np.array([name % 4 | (name % 2) << 7 | name << 32 for name in names], np.uint64)
    return np.stack([high, low], axis=1) if names else np.empty((0, 2), np.uint64)


@settings(max_examples=200)
@given(st.lists(KEYS, max_size=6))
def test_it_is_a_dictionary_that_keeps_the_first(batches: list[list[int]]) -> None:
    table, model = KeyTable(), dict[int, tuple[int, int]]()
    for batch in batches:
        values = np.arange(len(batch), dtype=np.uint64)
        added = table.add(keys_of(batch), values)
        for row, name in enumerate(batch):
            assert added.is_new[row] == (name not in model)
            model.setdefault(name, (len(model), row))
            assert added.numbers[row] == model[name][0]
            assert table.value(int(added.numbers[row])) == model[name][1]
    assert len(table) == len(model)
    probes = list(range(45))
    assert table.find(keys_of(probes)).tolist() == [model[name][0] if name in model else -1 for name in probes]


def test_it_grows_and_finds_everything_again() -> None:
    random_keys = np.random.default_rng(7)
    table = KeyTable()
    batches = [
        random_keys.integers(0, 2**64, (size, 2), dtype=np.uint64) for size in (1, 3000, 7, 20_000, 5000, 40_000)
    ]
    for batch in batches:
        assert table.add(batch, batch[:, 0]).is_new.all()
    everything = np.concatenate(batches)
    assert table.find(everything).tolist() == list(range(len(everything)))
    assert not table.add(everything, everything[:, 0]).is_new.any()
    assert (table.find(everything ^ np.uint64(1)) == -1).all()


def test_a_table_built_from_slices_answers_the_same() -> None:
    keys = np.random.default_rng(8).integers(0, 2**64, (30_000, 2), dtype=np.uint64)
    table, copy = KeyTable(), KeyTable()
    table.add(keys, keys[:, 1].copy())
    for first, end in ((0, 1), (1, 20_000), (20_000, 30_000)):
        copy.load(*table.dump(first, end))
    assert copy.find(keys).tolist() == list(range(30_000))
    assert copy.value(29_999) == int(keys[29_999, 1])
    assert not copy.add(keys, keys[:, 0]).is_new.any()


def test_a_key_costs_at_most_forty_five_bytes() -> None:
    table = KeyTable()
    random_keys = np.random.default_rng(9)
    for _ in range(60):
        batch = random_keys.integers(0, 2**64, (5000, 2), dtype=np.uint64)
        table.add(batch, batch[:, 0])
    assert table.bytes_held / len(table) < 45
