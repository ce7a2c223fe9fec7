"""No network, no service: fifty users count to two, at their own pace.

qalipsis run examples/hello_world.py
"""

from qalipsis import profile, scenario

hello_world = (
    scenario(
        "hello-world",
        minions=50,
        # Two start at once, a tenth of a second later four, then eight: at most ten at a time.
        profile=profile.more("100ms", start=2, multiplier=2, maximum=10),
    )
    .start()
    .returns(lambda context, _: f"hello {context.minion.index}")
    .shelve("greeting")
    .constant_pace("200ms")
    .iterate(2)
    .named("greet")
    .map(lambda context, greeting: (greeting, context.iteration))
    .unshelve("greeting", delete=False)
    .verify(lambda context, greeting: greeting == f"hello {context.minion.index}")
    .named("remembered")
)
