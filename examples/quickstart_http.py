"""Five hundred users log in, fill a basket and change it, over TLS, on connections opened before the start.

qalipsis run examples/quickstart_http.py -c shop.url=https://shop.example -c shop.ca=ca.pem
"""

from qalipsis import profile, prop, scenario, step
from qalipsis.plugins import http

shop = http.client(
    prop("shop.url", default="http://127.0.0.1:8080"),
    verify=prop("shop.ca", default=True, type=object),
    connections="per-minion",
    warm_up=True,
    timeout="5s",
)

quickstart_http = (
    scenario(
        "quickstart-http",
        minions=500,
        # All of them have started after twenty seconds, and shop on until thirty have gone by.
        profile=profile.stages(profile.stage(100, ramp_up="20s", total="30s")),
    )
    .setup(
        lambda user: (
            user.then(shop.post("/login", json=lambda context, _: {"user": f"u{context.minion.index}"}))
            .named("login")
            .verify(lambda answer: answer.status == 200)
        )
    )
    .start()
    .then(shop.post("/basket", json={"product": 7}))
    .named("add")
    .verify(lambda basket: basket.status == 200)
    .named("added")
    .then(shop.patch("/basket", json={"product": 7, "quantity": 3}))
    .named("change")
    .verify(lambda basket: basket.status == 200)
    .named("changed")
    .verify(lambda basket: basket.json()["items"] == [{"product": 7, "quantity": 3}])
    .named("quantity-is-three")
    .verify(lambda basket: basket.timings.wait <= 1.0)
    .named("first-byte-within-a-second")
    .delay("500ms")
    .expect(step("change").latency.percentile(95).is_less_than("1s"))
)
