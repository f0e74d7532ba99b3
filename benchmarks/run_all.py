"""Every benchmark in a short form, one after another: `python benchmarks/run_all.py [--check]`.

Each is a command of its own, which says what it measures; here are the sizes at which all of them together take about
three minutes on two cores. `--check`: exit code 1 when any of them finds a ratio past its bound. The bounds are wide:
they are for what became several times slower, on machines that do other things meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
SHORT = (
    "store.py --rounds 100 --full 1000",
    "board.py --models 10 --votes 1000 100000",
    "fit.py --runs 3 --models 20 --tokens 4000",
    "exchange.py --battles 20000 --models 50",
    "endurance.py --rounds 100 --readings 2000",
    "screen.py --rounds 40",
    "wire.py stream start",
    "decode.py --rounds 3 --tokens 32",
)


def main() -> int:
    """Run all, also behind one that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    failed = []
    for line in SHORT:
        name, *options = line.split()
        print(f"## {line}\n", flush=True)
        began = time.monotonic()
        command = [sys.executable, str(FOLDER / name), *options, *["--check"] * asked.check]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(f"\n{time.monotonic() - began:.0f} s\n", flush=True)
    print(f"Past a bound: {', '.join(failed)}" if failed else "All of them ran.")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
