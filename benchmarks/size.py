"""What an installation takes, and what of it each dependency: ``python benchmarks/size.py``.

Of the environment that runs this, by the lists of files that installers leave.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, requires

from measuring import HERE, print_table

SHOWN = 1 << 20  # bytes; what takes less is summed up


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The distribution *name* and all that it needs, without extras, by their names."""
    name = name.lower().replace("_", "-")
    if name not in found:
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # needed on other systems only
            return found
        for requirement in requires(name) or ():
            if "extra ==" not in requirement:
                needed(re.split(r"[^A-Za-z0-9._-]", requirement)[0], found)
    return found


def size(package: Distribution) -> int:
    """The bytes of the files of *package*, as installed; bytecode is made later."""
    paths = [package.locate_file(file) for file in package.files or ()]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


def main() -> None:
    sizes = {name: size(package) for name, package in needed("smsquest", {}).items()}
    files = (HERE.parent / "smsquest_cli").rglob("*.*")
    sizes["smsquest itself"] = sum(one.stat().st_size for one in files if one.suffix != ".pyc")
    del sizes["smsquest"]  # an editable one: only its list
    biggest = sorted(sizes.items(), key=lambda item: -item[1])
    rows = [(name, f"{taken / 2**20:.1f} MB") for name, taken in biggest if taken >= SHOWN]
    rest = [taken for taken in sizes.values() if taken < SHOWN]
    rows.append((f"{len(rest)} more, less than 1 MB each", f"{sum(rest) / 2**20:.1f} MB"))
    print_table(("dependency", "takes"), *rows, ("all", f"{sum(sizes.values()) / 2**20:.1f} MB"))


if __name__ == "__main__":
    main()
