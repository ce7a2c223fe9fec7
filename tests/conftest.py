"""What all tests share."""

from __future__ import annotations

import signal

# A test run that was started with nohup ignores SIGHUP, and so would every command that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
