"""The same load for as long as one likes, with all that could pile up: meters, failures, cookies."""

from qalipsis import Minion, journey, profile, prop, scenario, uniform
from qalipsis.plugins import http

shop = http.client(prop("target.url", type=str), connections="per-minion", timeout="30s")
length = prop("bench.duration", default="60s")

buy = (
    scenario("buy", minions=200, profile=profile.stages(profile.stage(100, ramp_up="2s", total=length)))
    .setup(lambda customer: customer.then(shop.post("/login", json={"user": "ada"})).named("login"))
    .start()
    .then(shop.get("/catalogue"))
    .named("catalogue")
    .timer("time-of-catalogue", lambda page: page.done - page.sent)
    .delay(uniform("50ms", "150ms"))
    .then(shop.post("/basket", json={"product": 1}))
    .named("basket")
    .verify(lambda basket: basket.status == 200)
    .tolerate(0.5)
    .delay("50ms")
)


@journey("browse", minions=200, profile=profile.arrival_rate(100, over=length))
async def browse(visitor: Minion) -> None:
    for product in visitor.random.sample(range(1, 80), 3):
        page = await visitor.do(shop.get(f"/catalogue/{product}"), name="look")
        visitor["last"] = page.body
        await visitor.pause("20ms")
