"""What the demo shop answers: a function of the request and of what customers did before; no I/O here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

ADJECTIVES = ("Quiet", "Copper", "Folding", "Northern", "Velvet", "Honest", "Paper", "Second")
NOUNS = ("Lamp", "Kettle", "Chair", "Radio", "Compass", "Blanket", "Teapot", "Ladder", "Mirror", "Notebook")
COOKIE = "shop-session"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in; `session` is the value of the shop's cookie."""

    method: str
    path: str
    session: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content: Any
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        return json.dumps(self.content, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    name: str
    price_cents: int


class Refusal(Exception):
    """A request that the shop understands and declines."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.response = Response(status, {"error": reason}, headers)


@dataclass(slots=True)
class Storefront:
    """The catalogue, and a basket per session.

    A share of the requests is answered with 500, as drawn from the seed: the same number of errors in the
    same number of requests, every time. `/health` is neither failed nor counted.
    """

    errors: float = 0.0
    seed: int = 1
    catalogue: tuple[Product, ...] = field(default_factory=lambda: make_catalogue())
    _baskets: dict[str, dict[int, int]] = field(default_factory=dict)
    _orders: int = 0
    _answered: int = 0
    _fate: Random = field(init=False)
    _sessions: Random = field(init=False)

    def __post_init__(self) -> None:
        # Two generators: a login must not shift which of the next requests fail.
        self._fate = Random(self.seed)
        self._sessions = Random(self.seed)

    def answer(self, request: Request, errors: float | None = None) -> Response:
        """The response, now; `errors` replaces the configured share for this one request."""
        share = self.errors if errors is None else errors
        if request.path != "/health":
            self._answered += 1
        try:
            if request.path != "/health" and share > 0 and self._fate.random() < share:
                raise Refusal(500, "out of order, as asked for")
            return self._route(request)
        except Refusal as refusal:
            return refusal.response

    def _route(self, request: Request) -> Response:
        handlers: Mapping[str, Mapping[str, Callable[[Request], Response]]] = {
            "/health": {"GET": self._health},
            "/catalogue": {"GET": self._list},
            "/login": {"POST": self._login},
            "/basket": {
                "GET": self._show_basket,
                "POST": self._fill_basket,
                "PATCH": self._change_basket,
            },
            "/checkout": {"POST": self._checkout},
        }
        is_product = request.path.startswith("/catalogue/")
        methods = {"GET": self._product} if is_product else handlers.get(request.path)
        if methods is None:
            raise Refusal(404, f"there is nothing at {request.path}")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            raise Refusal(
                405, f"{request.path} does not take {request.method}", ("Allow", ", ".join(methods))
            )
        return methods[method](request)

    def _health(self, request: Request) -> Response:
        counts = {"answered": self._answered, "sessions": len(self._baskets), "orders": self._orders}
        return Response(200, {"status": "up", **counts})

    def _list(self, request: Request) -> Response:
        return Response(200, {"products": [describe(product) for product in self.catalogue]})

    def _product(self, request: Request) -> Response:
        return Response(200, describe(self._find(request.path.removeprefix("/catalogue/"))))

    def _login(self, request: Request) -> Response:
        user = read_object(request).get("user")
        if not isinstance(user, str) or not user:
            raise Refusal(400, 'a login needs a user: {"user": "ada"}')
        session = f"{self._sessions.getrandbits(128):032x}"
        self._baskets[session] = {}
        cookie = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
        return Response(200, {"user": user}, (("Set-Cookie", cookie),))

    def _show_basket(self, request: Request) -> Response:
        return Response(200, self._describe_basket(self._basket(request)))

    def _fill_basket(self, request: Request) -> Response:
        basket = self._basket(request)
        product, quantity = self._read_item(request)
        basket[product.id] = basket.get(product.id, 0) + quantity
        return Response(200, self._describe_basket(basket))

    def _change_basket(self, request: Request) -> Response:
        basket = self._basket(request)
        product, quantity = self._read_item(request)
        if product.id not in basket:
            raise Refusal(404, f"product {product.id} is not in the basket: POST /basket first")
        basket[product.id] = quantity
        return Response(200, self._describe_basket(basket))

    def _read_item(self, request: Request) -> tuple[Product, int]:
        item = read_object(request)
        quantity = item.get("quantity", 1)
        if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= 100:
            raise Refusal(400, "a quantity is a whole number from 1 to 100")
        return self._find(str(item.get("product", ""))), quantity

    def _checkout(self, request: Request) -> Response:
        basket = self._basket(request)
        if not basket:
            raise Refusal(409, "the basket is empty: POST /basket first")
        self._orders += 1
        total = self._describe_basket(basket)["total_cents"]
        basket.clear()
        return Response(201, {"order": self._orders, "total_cents": total})

    def _basket(self, request: Request) -> dict[int, int]:
        basket = self._baskets.get(request.session or "")
        if basket is None:
            raise Refusal(401, "no session: POST /login first and keep the cookie")
        return basket

    def _find(self, id: str) -> Product:
        if not id.isascii() or not id.isdigit() or not 1 <= int(id) <= len(self.catalogue):
            raise Refusal(404, f"there is no product {id!r}")
        return self.catalogue[int(id) - 1]

    def _describe_basket(self, basket: Mapping[int, int]) -> dict[str, Any]:
        items = [{"product": id, "quantity": quantity} for id, quantity in basket.items()]
        total = sum(self.catalogue[id - 1].price_cents * quantity for id, quantity in basket.items())
        return {"items": items, "total_cents": total}


def make_catalogue() -> tuple[Product, ...]:
    """The same products every time, with ids from 1."""
    prices = Random(7)
    names = [f"{adjective} {noun}" for noun in NOUNS for adjective in ADJECTIVES]
    return tuple(Product(id, name, prices.randrange(490, 19990, 10)) for id, name in enumerate(names, 1))


def describe(product: Product) -> dict[str, Any]:
    return {"id": product.id, "name": product.name, "price_cents": product.price_cents}


def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body."""
    try:
        content = json.loads(request.body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Refusal(400, "the body should be a JSON object")
    return content
