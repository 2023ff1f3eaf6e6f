"""Whose data an operation may touch: a required argument of every store method."""

import msgspec

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.events import PLATFORM_TENANT, TENANT_ID_PATTERN


class TenantScope(msgspec.Struct, frozen=True):
    """One tenant, or (`tenant_id` None) every tenant, which only the platform's own operators get.

    Made from a credential or from a topic's binding to a tenant, nowhere else.
    """

    tenant_id: str | None

    @classmethod
    def of(cls, tenant_id: str) -> "TenantScope":
        """Scope to one tenant. Raises InvalidInput for a malformed or reserved id."""
        if not TENANT_ID_PATTERN.fullmatch(tenant_id):
            raise InvalidInput.single("tenant_id", "must be 1 to 64 letters, digits, dots, underscores or hyphens")
        if tenant_id == PLATFORM_TENANT:
            raise InvalidInput.single("tenant_id", f"{PLATFORM_TENANT!r} is reserved")
        return cls(tenant_id)

    @classmethod
    def all_tenants(cls) -> "TenantScope":
        """Scope of the platform's operators."""
        return cls(None)

    def covers(self, tenant_id: str) -> bool:
        """Say whether data of that tenant may be touched."""
        return self.tenant_id is None or self.tenant_id == tenant_id
