"""`python -m tests.services [NAME…]`: the services of the tests for work by hand, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from tests.services.home import ServiceMissing
from tests.services.offer import OFFERS


def main(names: Sequence[str]) -> None:
    known = [offer.name for offer in OFFERS]
    if unknown := set(names) - set(known):
        sys.exit(f"no service is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with ExitStack() as stack:
        for offer in OFFERS:
            if names and offer.name not in names:
                continue
            try:
                urls = stack.enter_context(offer.taken()).urls
            except ServiceMissing as missing:
                print(f"{offer.name:14} {missing}", flush=True)
                continue
            for name, url in zip((offer.name, *[""] * len(urls)), urls, strict=False):
                print(f"{name:14} {url}", flush=True)
        print("Press Ctrl-C to stop them.", flush=True)
        signal.pause()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        print()
