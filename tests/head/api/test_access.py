"""Who may use the REST API."""

from __future__ import annotations

import pytest

from qalipsis.head.api.access import is_loopback
from qalipsis.head.api_keys import is_right, new_key, parts_of
from tests.head.api.desk import Desk, configuration, open_client


async def test_without_a_key_only_health_answers() -> None:
    async with open_client(Desk(needs_key=True)) as client:
        for path in ("/api/campaigns", "/api/zones", "/api/users/profile", "/metrics"):
            answer = await client.get(path)
            assert (answer.status_code, len(answer.json()["errors"])) == (401, 1)
        for path in ("/health/live", "/api/configuration/security", "/api/openapi.json", "/"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/api/configuration/security")).json() == {"strategy": "API_KEY"}


@pytest.mark.parametrize(("role", "status"), [("reader", 403), ("tester", 200), ("administrator", 200)])
async def test_a_role_decides_what_a_key_may_do(role: str, status: int) -> None:
    desk = Desk(needs_key=True)
    desk.welcome()
    key, text = new_key("ci", role)
    desk.ring.keys[key.reference] = key
    async with open_client(desk, Authorization=f"Bearer {text}") as client:
        assert (await client.get("/api/users/profile")).json()["user"]["username"] == "ci"
        permissions = (await client.get("/api/users/permissions")).json()
        assert permissions == sorted(permissions)
        assert "read:campaign" in permissions
        assert (await client.post("/api/campaigns", json=configuration())).status_code == status


@pytest.mark.parametrize("sent", ["nonsense", "qalipsis_000000000000_x", "qalipsis_a_b_c", ""])
async def test_a_wrong_key_is_refused_even_where_none_is_needed(sent: str) -> None:
    async with open_client(Desk(), Authorization=f"Bearer {sent}") as client:
        answer = await client.get("/api/zones")
        assert (answer.status_code, answer.json()) == (401, {"errors": ["this API key is not valid"]})


async def test_pages_of_other_origins_may_not_use_an_open_api() -> None:
    async with open_client(Desk()) as client:
        headers = {"Origin": "https://evil.example.com"}
        answer = await client.post("/api/campaigns", json=configuration(), headers=headers)
        assert answer.status_code == 403
        assert (await client.get("/api/zones", headers={"Host": "evil.example.com"})).status_code == 403
        assert (await client.get("/api/zones", headers={"Host": "localhost:8400"})).status_code == 200
        assert (await client.get("/api/zones", headers={"Host": "["})).status_code == 403


async def test_pages_of_a_configured_origin_may() -> None:
    origin = "https://gui.example.com"
    async with open_client(Desk(origins=[origin])) as client:
        answer = await client.get("/api/zones", headers={"Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert (await client.options("/api/campaigns", headers=asked)).status_code == 204


def test_a_key_is_kept_as_a_hash_only() -> None:
    key, text = new_key("ci", "tester")
    reference, secret = parts_of(text) or ("", "")
    assert reference == key.reference
    assert secret not in key.hash
    assert is_right(key, secret)
    assert not is_right(key, secret + "x")


def test_addresses_of_this_machine_are_known() -> None:
    assert all(is_loopback(name) for name in ("127.0.0.1", "127.3.2.1", "::1", "localhost"))
    assert not any(is_loopback(name) for name in ("0.0.0.0", "::", "10.0.0.1", "example.com", ""))
