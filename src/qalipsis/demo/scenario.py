"""The bundled scenario: a few hundred customers buy, while others look around."""

from qalipsis import Chain, Minion, journey, profile, prop, scenario, step, uniform
from qalipsis.plugins import http
from qalipsis.plugins.http import Response

shop = http.client(prop("demo.url", type=str), connections="per-minion", timeout="5s")
"""Every customer has connections and cookies of their own, as a browser has."""


def log_in(customer: Chain[None]) -> Chain[Response]:
    """Once per customer: the session's cookie stays with the minion."""
    return (
        customer.map(lambda context, _: {"user": f"customer-{context.minion.index}"})
        .then(shop.post("/login", json=lambda user: user))
        .named("login")
        .verify(lambda welcome: welcome.status == 200)
        .named("is-logged-in")
    )


buy = (
    scenario(
        "buy",
        minions=300,
        # A gentle ramp, a full house, and everybody goes on buying until the second stage ends.
        profile=profile.stages(
            profile.stage(60, ramp_up="8s", total="12s"),
            profile.stage(40, ramp_up="4s", total="12s"),
        ),
        description="Log in once, then look, choose, fill the basket and pay, again and again.",
    )
    .setup(log_in)
    .start()
    .then(shop.get("/catalogue"))
    .named("catalogue")
    .verify(lambda page: page.status == 200 and len(page.json()["products"]) > 0)
    .named("catalogue-is-complete")
    .map(lambda context, page: context.minion.random.choice(page.json()["products"])["id"])
    .delay(uniform("500ms", "1500ms"))
    .then(shop.get(lambda product: f"/catalogue/{product}"))
    .named("product")
    .verify(lambda page: page.status == 200)
    .named("product-is-shown")
    .delay(uniform("500ms", "1500ms"))
    .then(shop.post("/basket", json=lambda page: {"product": page.json()["id"], "quantity": 1}))
    .named("basket")
    .verify(lambda basket: basket.status == 200)
    .named("basket-is-filled")
    .delay(uniform("500ms", "1s"))
    .then(shop.post("/checkout"))
    .named("checkout")
    .timeout("2s")
    .verify(lambda order: order.status == 201)
    .named("order-is-confirmed")
    .counter("orders")
    .timer("time-to-pay", lambda order: order.done - order.sent)
    .should_satisfy(lambda timer: timer.percentile(95).is_less_than("1s"))
    .delay(uniform("1s", "2s"))
    .expect(
        step("checkout").latency.percentile(95).is_less_than("1s"),
        step("catalogue-is-complete").failed_share.is_less_than(0.05),
    )
)


@journey(
    "browse",
    minions=100,  # enough to be free when the next one arrives
    profile=profile.arrival_rate(20, over="20s"),
    expect=[step("home").latency.percentile(99).is_less_than("1s")],
)
async def browse(visitor: Minion) -> None:
    """Twenty visitors a second come and go, however fast the shop answers."""
    home = await visitor.do(shop.get("/catalogue"), name="home")
    assert home.status == 200
    for product in visitor.random.sample(home.json()["products"], 2):
        await visitor.pause(uniform("500ms", "2s"))
        page = await visitor.do(shop.get(f"/catalogue/{product['id']}"), name="look")
        assert page.status == 200
