"""A worker finds the same values that the configuration gave."""

import pytest

from qalipsis.factory.properties import WorkerProperties


def test_a_key_is_found_however_it_is_spelt() -> None:
    properties = WorkerProperties({"shop.base-url": "http://shop"}, {})
    for key in ("shop.base-url", "shop.baseUrl", "SHOP_BASE_URL"):
        assert properties[key] == "http://shop"
    assert dict(properties) == {"shop.base-url": "http://shop"}


def test_the_environment_is_asked_last() -> None:
    properties = WorkerProperties({"shop.pace": "1s"}, {"SHOP_PACE": "2s", "SHOP_SIZE": "3"})
    assert (properties["shop.pace"], properties["shop.size"]) == ("1s", "3")
    assert "shop.size" not in set(properties)
    with pytest.raises(KeyError):
        properties["shop.colour"]
