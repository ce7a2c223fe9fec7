"""The REST API of a head.

What it needs is an extra, and importing it takes a while: import it where an API is really served.
"""

from importlib.util import find_spec

from qalipsis.errors import ConfigurationError

_missing = [name for name in ("litestar", "uvicorn") if find_spec(name) is None]
if _missing:
    raise ConfigurationError(
        f"the REST API needs {', '.join(_missing)}, which is missing: run `pip install 'qalipsis[cluster]'`"
    )
