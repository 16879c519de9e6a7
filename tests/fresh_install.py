"""Run the python blocks of a page with the packages that its own ``pip install`` commands bring, and no others.

``python fresh_install.py PAGE``: of what is installed here, only what pyproject.toml declares can be imported; an extra
counts from the block on that installs it. The blocks share one namespace, and warnings are errors.
"""

import importlib.metadata
import re
import sys
import warnings
from functools import lru_cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTALL = re.compile(r'^pip install "\.\[(.+?)\]"', re.MULTILINE)
PROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")


def declared(section="dependencies"):
    """Return the requirements of a list in pyproject.toml: without tomllib, which Python 3.10 lacks."""
    listed = re.search(rf"^{section} = \[(.*?)\]$", PROJECT, re.MULTILINE | re.DOTALL)[1]
    return [Requirement(text) for text in re.findall(r'"(.+?)"', listed)]


def distributions(requirements):
    """Return the names of all distributions that requirements bring, and of those that these bring."""
    found, waiting = set(), list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += map(Requirement, needed)
    return found


@lru_cache
def hidden_packages(extras=frozenset()):
    """Return the importable names that a fresh installation with these extras would not have."""
    kept = distributions([*declared(), *(requirement for extra in extras for requirement in declared(extra))])
    brought = importlib.metadata.packages_distributions()
    return {
        package
        for package, names in brought.items()
        if package != "skmulti" and not kept & {canonicalize_name(name) for name in names}
    }


class WithoutPackages:
    """A finder of modules that finds what another one does, but for some packages."""

    def __init__(self, finder):
        self.finder, self.hidden = finder, frozenset()

    def find_spec(self, name, path=None, target=None):
        """Return where a module is, None where it is hidden."""
        return None if name.partition(".")[0] in self.hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


def run(page):
    """Run the blocks of a page in order."""
    sys.meta_path[:] = finders = [WithoutPackages(finder) for finder in sys.meta_path]
    text, extras = page.read_text(encoding="utf-8"), frozenset()
    namespace = {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        extras |= {name for names in INSTALL.findall(block[0]) for name in names.split(",")}
        for finder in finders:
            finder.hidden = hidden_packages(extras)
        if block[1] != "python":
            continue
        import skmulti  # noqa: F401  # not sooner: what it imports must be found too

        warnings.simplefilter("error")
        # The empty lines before the block give a traceback the line numbers of the page.
        source = "\n" * text[: block.start(2)].count("\n") + block[2]
        exec(compile(source, str(page), "exec"), namespace)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
