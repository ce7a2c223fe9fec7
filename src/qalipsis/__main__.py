"""`python -m qalipsis` is the command `qalipsis`."""

import sys

from qalipsis.cli.main import main

sys.exit(main())
