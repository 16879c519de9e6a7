"""README as the long description of the package, which pyproject.toml cannot adapt: relative links have no target."""

import re
from pathlib import Path

from setuptools import setup

NOTE = "Names of files, such as `docs/guide.md`, are those in the source distribution.\n\n"
CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
# The picture has no address outside the repository.
PICTURE = re.compile(r"!\[[^]]+\]\((?!https?:)[^)]*\)\n+")
TO_A_HEADING = re.compile(r"\[([^]]+)\]\(#[^)]*\)")
TO_A_FILE = re.compile(r"\[([^]]+)\]\((?!https?:)([^)#]+)[^)]*\)")


def package_page(readme):
    """Return README without its picture, and with the names of files in place of links to them."""
    title, rest = PICTURE.sub("", readme).split("\n\n", 1)
    parts = CODE.split(rest)
    parts[::2] = [TO_A_FILE.sub(r"\1 (`\2`)", TO_A_HEADING.sub(r"\1", text)) for text in parts[::2]]
    return f"{title}\n\n{NOTE}{''.join(parts)}"


setup(
    long_description=package_page(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
