"""Which package may import which: dependencies point one way, from the command line down to errors."""

import ast
import importlib
import json
import subprocess
import sys
from collections import defaultdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "fdikp"

EVERYWHERE = {"_lazy", "errors", "extras", "files", "transfer_functions", "allocator", "terminal"}
"""Small modules without dependencies of their own, which every package may import."""

MAY_IMPORT: dict[str, set[str]] = {
    "imaging": set(),
    "network": set(),
    "models": {"network"},
    "metrics": set(),
    "synthesis": {"imaging"},
    "data": {"imaging", "synthesis"},
    "inference": {"imaging", "network", "models"},
    "training": {"data", "imaging", "inference", "metrics", "network", "synthesis", "models"},
    "plots": {"imaging", "synthesis"},
    "evaluation": {"data", "imaging", "inference", "metrics", "network", "plots"},
    "bench": {"evaluation", "inference", "plots"},
    "paper": {
        "data", "evaluation", "imaging", "inference", "metrics", "network", "plots", "synthesis", "training",
    },
    "jobs": {"imaging", "inference", "plots"},
    "service": {"imaging", "inference", "jobs", "models", "plots"},
    "cli": {
        "bench", "data", "evaluation", "imaging", "inference", "jobs", "metrics", "network", "paper", "plots",
        "service", "synthesis", "training", "models",
    },
}  # fmt: skip
"""By package, the others that it may import; `__init__` and `__main__` of fdikp itself may import all."""


LAZY = ("imaging", "jobs", "models", "network", "synthesis", "training")
"""Packages that import their public names when they are first used."""


@cache
def imports() -> dict[str, dict[str, set[str]]]:
    """For each package or module of fdikp, what it imports of the others, and in which files."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in SOURCE.rglob("*.py"):
        path = file.relative_to(SOURCE)
        if path in (Path("__main__.py"), Path("__init__.py")):
            continue
        importer = path.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "fdikp":
                names = [f"fdikp.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                parts = name.split(".")
                if parts[0] == "fdikp" and len(parts) > 1 and parts[1] != importer:
                    found[importer][parts[1]].add(str(path))
    return found


@pytest.mark.parametrize("importer", sorted(imports()))
def test_a_package_imports_what_it_may(importer: str) -> None:
    packages = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    allowed = MAY_IMPORT.get(importer, set()) | EVERYWHERE
    stray = {
        name: files for name, files in imports()[importer].items() if name not in allowed and name != "__version__"
    }
    assert not stray
    assert importer in packages | EVERYWHERE


def test_the_table_has_no_circle() -> None:
    done: set[str] = set()
    while len(done) < len(MAY_IMPORT):
        ready = {name for name, others in MAY_IMPORT.items() if name not in done and others <= done}
        assert ready, f"a circle among {set(MAY_IMPORT) - done}"
        done |= ready


def modules_of(package: str) -> dict[str, set[str]]:
    """For each module of a package, the modules of the same package that it imports, in functions too.

    Imports for type checkers alone do not count, nor does `__init__`, which collects the public names.
    """
    graph: dict[str, set[str]] = {}
    for file in (SOURCE / package).rglob("*.py"):
        if file.name == "__init__.py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                node.body = []
        name = ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts)
        graph[name] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                graph[name] |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
    return {name: imported & graph.keys() for name, imported in graph.items()}


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_modules_of_a_package_do_not_import_in_a_circle(package: str) -> None:
    remaining = modules_of(package)
    while remaining:
        ready = {name for name, imported in remaining.items() if not imported & remaining.keys()}
        assert ready, f"a circle among {sorted(remaining)}"
        remaining = {name: imported for name, imported in remaining.items() if name not in ready}


@pytest.mark.parametrize(
    "work",
    [
        "import fdikp.imaging",
        "from fdikp.models.descriptor import describe; describe('fdikp-lite').to_dict()",
        "import fdikp.jobs.runner, fdikp.jobs.memory",
        "import fdikp.models; fdikp.models.describe('fdikp-base')",
        "import fdikp.service.supervisor, fdikp.service.codec, fdikp.service.child",
    ],
)
def test_no_torch_is_needed(work: str) -> None:
    blocked = f"import sys; sys.modules['torch'] = None; {work}"  # then `import torch` raises ImportError
    subprocess.run([sys.executable, "-c", blocked], check=True)


LAZY_PACKAGES = ("fdikp", *(f"fdikp.{name}" for name in LAZY))


@pytest.fixture(scope="module")
def listed() -> dict[str, list[str]]:
    """What `dir` lists of each lazy package in an interpreter in which nothing has been used yet.

    Every public name is used afterwards.
    """
    code = f"""
import importlib, json
packages = {{name: importlib.import_module(name) for name in {LAZY_PACKAGES}}}
print(json.dumps({{name: dir(package) for name, package in packages.items()}}))
for package in packages.values():
    [getattr(package, name) for name in package.__all__]
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names: dict[str, list[str]] = json.loads(done.stdout)
    return names


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_lazy_packages_list_their_public_names_alone(package: str, listed: dict[str, list[str]]) -> None:
    names = {name for name in listed[package] if not name.startswith("__")}
    module = importlib.import_module(package)
    assert set(module.__all__) <= names
    assert all(find_spec(f"{package}.{name}") for name in names - set(module.__all__))  # modules that are loaded
    with pytest.raises(AttributeError, match=f"^module '{package}' has no attribute 'nothing'$"):
        _ = module.nothing
