"""The optional packages of fdikp, and how to install them: the text that every message about a missing one ends with.

fdikp is not on the package index, so `pip install "fdikp[raw]"` fails for somebody who installed it from a clone or
from a wheel. The packages that an extra consists of are there, and the metadata of the installation names them.
"""

import re
from importlib.metadata import PackageNotFoundError, requires


def install_hint(extra: str) -> str:
    """What to do if packages of an extra are missing, to end a message with.

    Args:
        extra: its name in pyproject.toml, such as `raw`.

    Returns:
        Such as `install the raw extra: pip install "rawpy>=0.21"`; without the command if the metadata of the
        installation does not tell the packages, as for a copy of the sources that is not installed.
    """
    try:
        packages = packages_of(extra, requires("fdikp"))
    except PackageNotFoundError:
        packages = []
    if not packages:
        return f"install the {extra} extra of fdikp"
    quoted = " ".join(f'"{package}"' for package in packages)  # > would redirect the output
    return f"install the {extra} extra: pip install {quoted}"


def packages_of(extra: str, requirements: list[str] | None) -> list[str]:
    """The requirements of an extra, and of the extras that it includes.

    Args:
        extra: its name.
        requirements: those of fdikp, as `importlib.metadata.requires` returns them.

    >>> packages_of("all", ['rawpy>=0.21; extra == "raw"', 'fdikp[raw]; extra == "all"', "numpy"])
    ['rawpy>=0.21']
    """
    found: list[str] = []
    extras = [extra]
    for name in extras:  # grows by the extras that one includes
        for requirement in requirements or ():
            package, _, marker = requirement.partition(";")
            if not re.search(rf"""\bextra\s*==\s*["']{re.escape(name)}["']""", marker):
                continue
            if included := re.fullmatch(r"fdikp\s*\[(.*)\]\s*", package):
                extras += [part for part in map(str.strip, included[1].split(",")) if part not in extras]
            else:
                found.append(package.strip())
    return list(dict.fromkeys(found))
