"""A conversation over TCP: a thousand users connect at once, talk for a second, and leave.

    qalipsis run examples/tcp_echo.py -c echo.port=7000

It needs a service that sends every line back, such as `ncat --listen --keep-open --exec /bin/cat 7000`.
"""

from qalipsis import profile, prop, scenario, step
from qalipsis.plugins import tcp

echo = tcp.client(prop("echo.host", default="127.0.0.1"), port=prop("echo.port", default=7000), timeout="5s")

tcp_echo = (
    scenario("tcp-echo", minions=1000, profile=profile.immediate())
    .start()
    # The payload is sent as it is; a response is a line unless `until` says otherwise.
    .then(echo.request(lambda context, _: f"hello from {context.minion.index}\n"))
    .named("connect")
    .verify(lambda answer: answer.text.startswith("hello from "))
    .then(tcp.reuse("connect", lambda context, _: f"message {context.iteration}\n"))
    .named("talk")
    .iterate(10, period="100ms")
    .verify(lambda context, answer: answer.text == f"message {context.iteration}")
    # Ten answers came down the chain; only the last one says goodbye.
    .filter(lambda context, _: context.is_tail)
    .then(echo.close())
    .named("leave")
    .expect(step("talk").latency.percentile(99).is_less_than("1s"))
)
