"""An open model: fifty visitors a second arrive, however slow the service becomes.

In a closed model (the other profiles) a slow service slows its own load down: each minion waits for its
answer before it asks again. Real visitors do not know of each other. Here each arrival has its planned
moment, and `from_due` in the report counts from it, so a service that stands still shows in the numbers.

    qalipsis run examples/open_model.py -c shop.url=http://127.0.0.1:8080
"""

from qalipsis import profile, prop, scenario, step
from qalipsis.plugins import http

shop = http.client(prop("shop.url", default="http://127.0.0.1:8080"), timeout="10s")

visitors = (
    scenario(
        "visitors",
        # The pool: an arrival that finds no free minion is not sent, is counted as dropped, and the verdict
        # says so. As a rule of thumb: rate × the longest answer you want to measure.
        minions=500,
        profile=profile.arrival_rate(50, over="10s", ramp_from=5),
    )
    .start()
    .then(shop.get("/catalogue"))
    .named("catalogue")
    .timeout("8s")
    .verify(lambda page: page.status == 200)
    .named("catalogue-is-there")
    .expect(
        step("catalogue").latency.percentile(99).is_less_than("500ms"),
        step("catalogue").service_time.percentile(99).is_less_than("400ms"),
    )
)
