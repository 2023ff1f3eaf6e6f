import pytest

from de_platform.http.tenancy import tenant_scope
from de_platform.pipeline.errors import InvalidInput


def test_no_tenant_means_all_of_them() -> None:
    scope, rest = tenant_scope([("limit", "1")])
    assert scope.tenant_id is None
    assert rest == [("limit", "1")]


def test_a_named_tenant_is_the_scope_and_no_filter() -> None:
    scope, rest = tenant_scope([("tenant_id", "acme"), ("limit", "1")])
    assert scope.tenant_id == "acme"
    assert rest == [("limit", "1")]


@pytest.mark.parametrize("asked", [["a", "b"], ["a", "a"], [""], ["platform"], ["a b"], ["x" * 65], ["a\n"]])
def test_anything_unclear_is_refused(asked: list[str]) -> None:
    with pytest.raises(InvalidInput):
        tenant_scope([("tenant_id", value) for value in asked])
