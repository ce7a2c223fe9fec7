"""Runs one function in a fresh process, on a core of its own: clean memory, no neighbours."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any


def isolated(target: str, core: int | None = None, timeout_seconds: float = 300.0, **arguments: Any) -> Any:
    """What `target` (`module:function`) returns there; arguments and result are JSON."""
    command = ["taskset", "--cpu-list", str(core)] if core is not None else []
    command += [sys.executable, "-m", "benchmarks.isolated", target, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    if done.returncode:
        raise RuntimeError(f"{target}({arguments}) failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    target, arguments = sys.argv[1:]
    module, _, function = target.partition(":")
    print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(arguments))))


if __name__ == "__main__":
    main()
