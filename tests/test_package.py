"""What is built for others: a complete source distribution, a wheel of the package alone, a page without dead links."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [".github", "benchmarks", "docs", "examples", "skmulti", "tests"]
PAGES = ["CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"]
BESIDE = [*PAGES, "CITATION.cff", "LICENSE", "MANIFEST.in", "Makefile", "constraints.txt", "noxfile.py"]
BUILDING = ["pyproject.toml", "setup.py"]
MADE = shutil.ignore_patterns("__pycache__", "*.pyc", "output", "*.egg-info")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build both distributions from a copy, since building leaves files behind; return their folder."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ROOMS:
        shutil.copytree(ROOT / name, copy / name, ignore=MADE)
    for name in BESIDE + BUILDING:
        shutil.copy(ROOT / name, copy / name)
    program = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", program], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return copy / "dist"


@pytest.fixture(scope="module")
def in_sdist(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def metadata(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


@pytest.mark.parametrize("room", ROOMS)
def test_the_source_distribution_has_every_file(in_sdist, room):
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / room).rglob("*") if path.suffix in {".py", ".md"}}
    assert files
    assert files <= in_sdist


def test_the_source_distribution_has_what_stands_beside_the_package(in_sdist):
    assert {*BESIDE, *BUILDING, "tests/conftest.py", "skmulti/py.typed"} <= in_sdist
    assert not [name for name in in_sdist if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_has_the_package_alone(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        names = archive.namelist()
    assert "skmulti/py.typed" in names
    assert {re.sub(r"^skmulti-.*\.dist-info", "metadata", name.split("/")[0]) for name in names} == {
        "metadata",
        "skmulti",
    }


def test_the_package_page_has_no_link_that_leads_nowhere(metadata):
    page = metadata.get_payload()
    links = re.findall(r"\]\(([^)]*)\)", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL))
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_the_package_page_says_where_the_files_are_that_it_names(metadata, in_sdist):
    page = metadata.get_payload()
    assert "are those in the source distribution" in page
    named = re.findall(r" \(`((?:docs|examples)[\w/.]*|[A-Z]+(?:\.md|\.cff)?)`\)", page)
    assert {"docs/guide.md", "docs/losses.md", "examples", "LICENSE"} <= set(named)
    assert all(any(path == name or path.startswith(f"{name}/") for path in in_sdist) for name in named)


def test_the_package_page_has_no_picture_without_an_address(metadata):
    page = re.sub(r"^```.*?^```$", "", metadata.get_payload(), flags=re.MULTILINE | re.DOTALL)
    assert "![" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "demo.png" not in page
    assert not re.search(r"![\w[]", page)


def test_the_code_of_the_package_page_is_that_of_readme(metadata):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?^```$", readme, re.MULTILINE | re.DOTALL)
    assert blocks == re.findall(r"^```.*?^```$", metadata.get_payload(), re.MULTILINE | re.DOTALL)
