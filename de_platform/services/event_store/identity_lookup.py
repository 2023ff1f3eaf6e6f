"""Identities as the bound parameter of a lookup."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

from de_platform.services.event_store.interface import EventIdentity

_LOOKUP_CHARACTERS = 128 * 1024
"""Most that one lookup takes: escaped for a URL it may triple, and a request line is limited to 1 MiB."""

_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n"})


class IdentityGroups:
    """An `Array(Tuple(String, Date, Array(String)))`: ids by tenant and day, as the primary key has them.

    The driver binds what it does not know as its `str()`. That is this class's reason: the driver's own way with
    strings goes character by character and would take most of a lookup's time.
    """

    def __init__(self) -> None:
        self._groups: list[str] = []
        self.characters = 0

    def add(self, tenant_id: str, dated_on: date, event_ids: Sequence[str]) -> None:
        """Append a group."""
        ids = "','".join(event_id.translate(_ESCAPES) for event_id in event_ids)
        group = f"('{tenant_id.translate(_ESCAPES)}','{dated_on.isoformat()}',['{ids}'])"
        self._groups.append(group)
        self.characters += len(group)

    def __str__(self) -> str:
        return f"[{','.join(self._groups)}]"


def lookups(wanted: Sequence[EventIdentity]) -> Iterator[IdentityGroups]:
    """Cut identities into lookups of a bounded size; nearly always into one."""
    groups = IdentityGroups()
    ordered = sorted(set(wanted), key=lambda identity: (identity.tenant_id, identity.dated_on))
    for (tenant_id, dated_on), identities in groupby(ordered, key=lambda i: (i.tenant_id, i.dated_on)):
        for event_ids in _slices([identity.event_id for identity in identities]):
            groups.add(tenant_id, dated_on, event_ids)
            if groups.characters >= _LOOKUP_CHARACTERS:
                yield groups
                groups = IdentityGroups()
    if groups.characters:
        yield groups


def _slices(event_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    longest = max(map(len, event_ids))
    size = max(1, _LOOKUP_CHARACTERS // (2 * (longest + 3)))
    for start in range(0, len(event_ids), size):
        yield event_ids[start : start + size]
