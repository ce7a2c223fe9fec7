"""GET at a fixed rate, whatever the service does."""

from qalipsis import profile, prop, scenario
from qalipsis.plugins import http

target = http.client(prop("target.url", type=str), connections="per-minion", timeout="60s")

arrivals = (
    scenario(
        "open",
        minions=prop("bench.minions", default=100),
        profile=profile.arrival_rate(
            prop("bench.rate", default=100.0), over=prop("bench.duration", default="10s")
        ),
    )
    .start()
    .then(target.get("/catalogue/1"))
    .named("get")
    .verify(lambda response: response.status == 200)
    .named("status-is-200")
)
