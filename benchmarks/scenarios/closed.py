"""GET and verify, over and over on keep-alive connections: a known number of requests, as fast as it goes."""

from qalipsis import profile, prop, scenario
from qalipsis.plugins import http

target = http.client(prop("target.url", type=str), connections="per-minion", timeout="30s")

closed = (
    scenario("closed", minions=prop("bench.minions", default=32), profile=profile.immediate())
    .start()
    .then(target.get("/"))
    .named("get")
    .iterate(prop("bench.requests-per-minion", default=1000))
    .verify(lambda response: response.status == 200)
    .named("status-is-200")
)
