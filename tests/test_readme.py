"""Every python block of the README and of the guides runs as it stands, in order, one namespace per file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_run_as_they_stand(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a block may write files
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        # The empty lines before the block give a traceback the line numbers of the page.
        source = "\n" * (text[: block.start(1)].count("\n")) + block[1]
        exec(compile(source, str(page), "exec"), namespace)


def test_there_are_pages_with_blocks():
    assert PAGES
    assert BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))
