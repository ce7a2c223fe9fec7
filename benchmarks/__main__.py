"""python -m benchmarks [NAME...] [--quick]: measure, print, write benchmarks/results.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    assigning,
    cluster,
    head,
    memory,
    merging,
    records,
    rest,
    starts,
    steps,
    throughput,
    workers,
)
from benchmarks.figure import Figure
from benchmarks.results import record, table

BENCHMARKS: Mapping[str, Callable[[bool], list[Figure]]] = {
    "throughput": throughput.measure,
    "memory": memory.measure,
    "starts": starts.measure,
    "workers": workers.measure,
    "steps": steps.measure,
    "records": records.measure,
    "merging": merging.measure,
    "assigning": assigning.measure,
    "rest": rest.measure,
    "head": head.measure,
    "cluster": cluster.measure,
}
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a look, in seconds; proves and records nothing")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    missed = 0
    for name in given.names or BENCHMARKS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures = BENCHMARKS[name](given.quick)
        print(table(name, figures), flush=True)
        missed += sum(figure.holds is False for figure in figures)
        if not given.quick:
            record(RESULTS, name, figures)
    return 1 if missed and not given.quick else 0


if __name__ == "__main__":
    sys.exit(main())
