"""The light cluster's transport: streams of Redis, standalone or cluster.

What it needs is an extra: import it where Redis is really used.
"""

from importlib.util import find_spec

from qalipsis.errors import ConfigurationError

if find_spec("redis") is None:
    raise ConfigurationError(
        "messages through Redis need redis, which is missing: run `pip install 'qalipsis[cluster]'`"
    )
