"""What is asked for over the REST API, as what is run."""

from typing import Any

from qalipsis.head.campaign_configuration import from_kept, request_of
from qalipsis.head.campaign_request import CampaignRequest


def seed(key: str, **defaults: Any) -> int:
    asked = from_kept({"name": "a campaign", "scenarios": {"shop": {"minionsCount": 1}}})
    return request_of(asked, {}, CampaignRequest(key="", name=None, **defaults), key).seed


def test_each_campaign_has_a_seed_of_its_own_that_is_the_same_on_every_head() -> None:
    assert seed("c-1", seed=5, is_seed_drawn=True) != seed("c-2", seed=5, is_seed_drawn=True)
    assert seed("c-1", seed=5, is_seed_drawn=True) == seed("c-1", seed=6, is_seed_drawn=True)
    assert 0 <= seed("c-1", seed=5, is_seed_drawn=True) < 2**63


def test_a_configured_seed_is_that_of_every_campaign() -> None:
    assert seed("c-1", seed=5) == seed("c-2", seed=5) == 5
