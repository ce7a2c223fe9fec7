"""GET and verify for a time, several requests per pass, or one: then each pays for the pass around it."""

from qalipsis import profile, prop, scenario
from qalipsis.plugins import http

target = http.client(prop("target.url", type=str), connections="per-minion", timeout="30s")

passes = (
    scenario(
        "passes",
        minions=prop("bench.minions", default=32),
        profile=profile.stages(
            profile.stage(100, ramp_up="500ms", total=prop("bench.duration", default="10s"))
        ),
    )
    .start()
    .then(target.get("/"))
    .named("get")
    .iterate(prop("bench.requests-per-pass", default=1))
    .verify(lambda response: response.status == 200)
    .named("status-is-200")
)
