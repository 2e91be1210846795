"""Every benchmark, one after the other: ``python benchmarks``.

    python benchmarks --node-modules ~/somewhere/node_modules    # Express too
    python benchmarks --full                                     # as in docs/performance.md
    python benchmarks --quick

Prints the tables of ``docs/performance.md``. Ratios are of one run; for figures that can be
compared leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = {
    "waiting": "What users wait for",
    "webhook_path": "The way of a webhook",
    "stages": "Where each microsecond goes",
    "load": "Under load",
    "forwarding": "Your own app behind --forward-to",
    "size": "Size",
}
QUICK = {
    "webhook_path": ["--rounds", "3", "--disturbance", "99"],
    "stages": ["--messages", "500"],
    "load": ["--rounds", "3", "--events", "5000"],
    "forwarding": ["--messages", "200"],
}
FULL = {"webhook_path": ["--patience", "90"], "load": ["--events", "100000"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="only: " + ", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="to see that they work")
    parser.add_argument("--full", action="store_true", help="with 100,000 events")
    parser.add_argument("--node-modules", help="folder with express and twilio")
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}")
    if given.node_modules and not Path(given.node_modules, "express").is_dir():
        parser.error(f"no express in {given.node_modules}: npm install express twilio")
    for part in given.parts or PARTS:
        options = (QUICK if given.quick else FULL if given.full else {}).get(part, [])
        if part == "webhook_path" and given.node_modules:
            options = [*options, "--node-modules", given.node_modules]
        print(f"## {PARTS[part]}\n", flush=True)
        command = [sys.executable, str(HERE / f"{part}.py"), *options]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"{part} has failed")
        print(flush=True)


if __name__ == "__main__":
    main()
