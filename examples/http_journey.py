"""A journey: what one user does, in plain Python, with loops and conditions where they belong.

qalipsis run examples/http_journey.py -c shop.url=http://127.0.0.1:8080
"""

from qalipsis import Minion, journey, profile, prop, step, uniform
from qalipsis.plugins import http

shop = http.client(prop("shop.url", default="http://127.0.0.1:8080"), timeout="5s")
"""Each minion has its own connections and cookies: the session of its login stays with it."""


async def log_in(minion: Minion) -> None:
    """Walked once per minion, before its first pass."""
    user = {"user": f"user-{minion.index}"}
    welcome = await minion.do(shop.post("/login", json=user), name="login")
    assert welcome.status == 200, f"the login was answered with {welcome.status}"


@journey(
    "shopping",
    minions=40,
    # Everybody has started after two seconds; passes repeat until ten seconds have gone by.
    profile=profile.stages(profile.stage(100, ramp_up="2s", total="10s")),
    setup=log_in,
    # Checked while the campaign runs, and at its end: a condition that does not hold fails it.
    expect=[
        step("checkout").latency.percentile(95).is_less_than("1s"),
        step("product").failed_share.is_less_than(0.01),
    ],
)
async def shopping(minion: Minion) -> None:
    page = await minion.do(shop.get("/catalogue"), name="catalogue")
    # The random numbers are the minion's own: the same seed repeats the same choices.
    for product in minion.random.sample(page.json()["products"], k=3):
        await minion.do(shop.get(f"/catalogue/{product['id']}"), name="product")
        await minion.pause(uniform("100ms", "400ms"))
        if product["price_cents"] < 10_000:
            await minion.do(shop.post("/basket", json={"product": product["id"]}), name="basket")

    basket = await minion.do(shop.get("/basket"), name="show-basket")
    if basket.json()["items"]:
        order = await minion.do(shop.post("/checkout"), name="checkout")
        assert order.status == 201, f"the order was answered with {order.status}"
