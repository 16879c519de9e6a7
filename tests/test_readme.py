"""Every python block of README and docs runs unchanged, with the packages that the page's own commands install.

The blocks of a page share one namespace; those of README also run alone. Links between the pages have a target.
"""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skmulti
from tests.fresh_install import BLOCK, INSTALL, canonicalize_name, declared, hidden_packages

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()]


LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")


def anchors(page):
    """Return the anchors of a page's headings: lower case, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_link_has_a_target(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for name, heading in LINK.findall(text):
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), name
        assert not heading or heading in anchors(target), f"{name}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_run_as_they_stand(page, tmp_path):
    program = [sys.executable, ROOT / "tests" / "fresh_install.py", page]
    # A block may write files.
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_later_block_of_readme_runs_alone(tmp_path):
    readme, commands = (ROOT / "README.md").read_text(encoding="utf-8"), []
    page = tmp_path / "page.md"
    blocks = list(BLOCK.finditer(readme))
    first = next(block for block in blocks if block[1] == "python")
    for block in blocks:
        if block[1] == "sh":
            commands.append(block[0])
        elif block is not first:
            page.write_text("\n".join([*commands, block[0], ""]), encoding="utf-8")
            program = [sys.executable, ROOT / "tests" / "fresh_install.py", page]
            done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_there_are_pages_with_blocks():
    assert PAGES
    assert BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_quick_start_needs_no_extra():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.index("## Quick start")
    assert "load_breast_cancer_measurements()" in readme[start : INSTALL.search(readme).start()]
    assert "pandas" in hidden_packages()
    assert "pandas" not in hidden_packages(frozenset({"pandas"}))


def test_a_block_that_imports_what_is_not_installed_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nimport numpy\nimport pandas\n```\n")
    program = [sys.executable, ROOT / "tests" / "fresh_install.py", page]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert 'page.md", line 3' in done.stderr
    assert "ModuleNotFoundError: No module named 'pandas'" in done.stderr


def imported(source):
    """Return the packages that a module imports on its first level, but for those that only types need."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found


def test_every_imported_package_is_a_declared_dependency():
    sources = Path(skmulti.__file__).parent.rglob("*.py")
    packages = set().union(*(imported(path.read_text(encoding="utf-8")) for path in sources))
    brought = importlib.metadata.packages_distributions()
    names = {canonicalize_name(requirement.name) for requirement in declared()}
    known = {package for package, by in brought.items() if names & set(map(canonicalize_name, by))}
    assert packages - known - set(sys.stdlib_module_names) == {"skmulti"}
