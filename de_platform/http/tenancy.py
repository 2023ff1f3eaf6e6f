"""The one place that says whose data a request may touch.

There are no credentials yet: whoever reaches the port sees what the address asks for, one tenant by
`?tenant_id=` or all of them without it. Authentication replaces the body of `tenant_scope`, and nothing
else has to change, because every handler takes its scope from here and every store demands one.
"""

from collections.abc import Sequence

from de_platform.http.routing import Parameter
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.tenancy import TenantScope

TENANT_PARAMETER = Parameter(
    name="tenant_id",
    place="query",
    description="Only this tenant's data; without it, all tenants'.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "examples": ["acme"]},
)


def tenant_scope(pairs: Sequence[tuple[str, str]]) -> tuple[TenantScope, list[tuple[str, str]]]:
    """Return the scope of a request and the query parameters that are left.

    Raises InvalidInput for a tenant id that is malformed, reserved, or given twice.
    """
    asked = [value for name, value in pairs if name == TENANT_PARAMETER.name]
    rest = [(name, value) for name, value in pairs if name != TENANT_PARAMETER.name]
    match asked:
        case []:
            return TenantScope.all_tenants(), rest
        case [tenant_id]:
            return TenantScope.of(tenant_id), rest
        case _:
            raise InvalidInput.single("tenant_id", "given more than once; ask for one tenant, or for all without it")
