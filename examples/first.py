"""The first scenario: ten users look at a catalogue. Start a shop, then run this file:

python -m qalipsis.demo.shop --port 8080
qalipsis run examples/first.py
"""

from qalipsis import profile, prop, scenario
from qalipsis.plugins import http

shop = http.client(prop("shop.url", default="http://127.0.0.1:8080"))

first = (
    scenario("first", minions=10, profile=profile.regular("100ms", 1))
    .start()
    .then(shop.get("/catalogue"))
    .named("catalogue")
    .iterate(20)
    .verify(lambda page: page.status == 200)
    .delay("200ms")
)
