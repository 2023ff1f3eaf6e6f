"""What every implementation of SecretsInterface does, given NAME=value and nothing else."""

import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.secrets.interface import SecretsInterface


class SecretsContract:
    """Subclasses provide `secrets`, which holds `NAME` = `value` and `EMPTY` = ``."""

    def test_value_is_found_by_name(self, secrets: SecretsInterface) -> None:
        assert secrets.get("NAME") == "value"
        assert secrets.require("NAME") == "value"
        assert secrets.get_or_default("NAME", "other") == "value"

    def test_absent_value_is_none(self, secrets: SecretsInterface) -> None:
        assert secrets.get("OTHER") is None

    def test_absent_value_gives_way_to_the_default(self, secrets: SecretsInterface) -> None:
        assert secrets.get_or_default("OTHER", "default") == "default"

    def test_empty_value_counts_as_absent(self, secrets: SecretsInterface) -> None:
        assert secrets.get("EMPTY") is None

    def test_required_value_that_is_absent_names_what_to_set(self, secrets: SecretsInterface) -> None:
        with pytest.raises(InvalidInput) as caught:
            secrets.require("OTHER")
        assert caught.value.errors[0].field == "OTHER"

    def test_repr_shows_no_value(self, secrets: SecretsInterface) -> None:
        assert "value'" not in repr(secrets)
        assert "NAME" not in repr(secrets)
