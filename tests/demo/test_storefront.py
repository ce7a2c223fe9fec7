from __future__ import annotations

import json

import pytest

from qalipsis.demo.storefront import Request, Response, Storefront


def login(shop: Storefront) -> str:
    cookie = dict(shop.answer(post("/login", {"user": "ada"})).headers)["Set-Cookie"]
    return cookie.split(";")[0].split("=")[1]


def post(path: str, content: object, session: str | None = None) -> Request:
    return Request("POST", path, session, json.dumps(content).encode())


def statuses(shop: Storefront, count: int) -> list[int]:
    return [shop.answer(Request("GET", "/catalogue")).status for _ in range(count)]


def test_the_catalogue_is_the_same_every_time() -> None:
    first, second = (Storefront().answer(Request("GET", "/catalogue")) for _ in range(2))
    assert first == second
    assert first.content["products"][0]["id"] == 1


def test_a_product_is_found_by_its_id() -> None:
    assert Storefront().answer(Request("GET", "/catalogue/3")).content["id"] == 3


@pytest.mark.parametrize("id", ["0", "81", "-1", "1.5", "", "²", "lamp"])
def test_an_unknown_product_is_not_found(id: str) -> None:
    assert Storefront().answer(Request("GET", f"/catalogue/{id}")).status == 404


def test_a_customer_logs_in_fills_a_basket_and_gets_an_order_number() -> None:
    shop = Storefront()
    session = login(shop)
    shop.answer(post("/basket", {"product": 2, "quantity": 3}, session))
    shop.answer(post("/basket", {"product": 2}, session))
    basket = shop.answer(Request("GET", "/basket", session))
    assert basket.content["items"] == [{"product": 2, "quantity": 4}]
    assert basket.content["total_cents"] == 4 * shop.catalogue[1].price_cents
    order = shop.answer(post("/checkout", {}, session))
    assert (order.status, order.content["order"]) == (201, 1)
    assert shop.answer(Request("GET", "/basket", session)).content["items"] == []


def test_every_customer_has_a_basket_of_their_own() -> None:
    shop = Storefront()
    ada, bob = login(shop), login(shop)
    shop.answer(post("/basket", {"product": 1}, ada))
    assert shop.answer(Request("GET", "/basket", bob)).content["items"] == []


@pytest.mark.parametrize("session", [None, "guessed"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/basket"), ("POST", "/basket"), ("POST", "/checkout")])
def test_a_basket_needs_a_session(method: str, path: str, session: str | None) -> None:
    assert Storefront().answer(Request(method, path, session, b'{"product": 1}')).status == 401


def test_an_empty_basket_cannot_be_bought() -> None:
    shop = Storefront()
    assert shop.answer(post("/checkout", {}, login(shop))).status == 409


@pytest.mark.parametrize("content", [[], "ada", {"user": ""}, {"user": 1}, {}])
def test_a_login_without_a_user_is_a_bad_request(content: object) -> None:
    assert Storefront().answer(post("/login", content)).status == 400


@pytest.mark.parametrize("quantity", [0, 101, 1.5, "2", True])
def test_a_quantity_is_a_whole_number(quantity: object) -> None:
    shop = Storefront()
    assert shop.answer(post("/basket", {"product": 1, "quantity": quantity}, login(shop))).status == 400


def test_a_wrong_method_is_told_the_right_one() -> None:
    response = Storefront().answer(Request("DELETE", "/login"))
    assert (response.status, dict(response.headers)) == (405, {"Allow": "POST"})


def test_an_unknown_path_is_not_found() -> None:
    assert Storefront().answer(Request("GET", "/admin")).status == 404


def test_the_seed_repeats_the_errors() -> None:
    first, second = (statuses(Storefront(errors=0.1, seed=5), 500) for _ in range(2))
    assert first == second
    assert 20 < first.count(500) < 90
    assert first != statuses(Storefront(errors=0.1, seed=6), 500)


def test_logins_do_not_shift_which_requests_fail() -> None:
    shop = Storefront(errors=0.5, seed=5)
    mixed = [shop.answer(post("/login", {"user": "ada"})).status for _ in range(100)]
    assert [status == 500 for status in mixed] == [
        status == 500 for status in statuses(Storefront(errors=0.5, seed=5), 100)
    ]


def test_health_never_fails() -> None:
    assert Storefront(errors=1.0).answer(Request("GET", "/health")).status == 200


def test_health_says_what_was_answered_so_far() -> None:
    shop = Storefront()
    statuses(shop, 3)
    for _ in range(2):
        assert shop.answer(Request("GET", "/health")).content["answered"] == 3


def test_a_request_may_ask_for_its_own_error_share() -> None:
    assert Storefront().answer(Request("GET", "/catalogue"), errors=1.0).status == 500
    assert Storefront(errors=1.0).answer(Request("GET", "/catalogue"), errors=0.0).status == 200


def test_a_body_is_compact_json() -> None:
    assert Response(200, {"a": [1, 2]}).body == b'{"a":[1,2]}'
