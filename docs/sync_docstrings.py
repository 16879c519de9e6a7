"""Copy the shared parameters from MultiOutputNetRegressor's docstring to those of the named estimators: ``make docs``.

An IDE and a tooltip show the docstring of the class that is used, and nothing of its base class. So each named
estimator describes all its parameters in the order of its signature: those of its own ``__init__`` in its own words,
all others, the attributes and the exceptions in the words of the base class, which is the only place to edit them.
"""

import ast
import inspect
import re
import textwrap
from pathlib import Path

from make_losses import sections

import skmulti
from skmulti import MultiOutputNetRegressor

NAMED = [
    cls
    for cls in (getattr(skmulti, name) for name in skmulti.__all__)
    if issubclass(cls, MultiOutputNetRegressor) and cls is not MultiOutputNetRegressor
]
ORDER = ["Parameters", "Attributes", "Raises", "See Also", "Notes", "References", "Examples"]
COPIED = ["Attributes", "Raises"]


def entries(text):
    """Return the entries of a Parameters section, whole, by name."""
    parts = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0].split(" : ")[0]: part.rstrip() for part in parts}


def references(text):
    """Return the texts of the references by their numbers."""
    parts = re.split(r"^\.\. \[(\d+)\] ", text, flags=re.MULTILINE)[1:]
    return {int(number): words.strip() for number, words in zip(parts[::2], parts[1::2], strict=True)}


def cited(text):
    """Return the numbers of the references that a text cites, in order."""
    return list(dict.fromkeys(int(number) for number in re.findall(r"\[(\d+)\]_", text)))


def renumbered(text, numbers):
    """Return a text whose citations have other numbers."""
    return re.sub(r"\[(\d+)\]_", lambda match: f"[{numbers[int(match[1])]}]_", text)


def synced(cls):
    """Return the docstring that a named estimator must have, without indentation."""
    base, own = sections(MultiOutputNetRegressor.__doc__), sections(cls.__doc__)
    shared, described = entries(base["Parameters"]), entries(own.pop("Parameters"))
    # Not the signature, which has those of the base class too.
    code = vars(cls)["__init__"].__code__
    in_own_words = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    names = [
        f"**{name}" if parameter.kind is parameter.VAR_KEYWORD else name
        for name, parameter in inspect.signature(cls).parameters.items()
    ]
    missing = [name for name in names if name not in (described if name in in_own_words else shared)]
    if missing:
        raise ValueError(f"{cls.__name__} or its base class must describe {missing} in its docstring.")

    # References of the base class come first; those of the class's own words follow.
    mine = {name: text for name, text in own.items() if name not in (*COPIED, "References")}
    own_text = "\n".join([*(described[name] for name in in_own_words), *mine.values()])
    known, listed = references(base.get("References", "")), references(own.get("References", ""))
    numbers: dict[int, int] = {}
    for number in cited(own_text):
        same = [other for other, words in known.items() if words == listed[number]]
        numbers[number] = same[0] if same else max(known, default=0) + 1
        known[numbers[number]] = listed[number]

    parameters = [renumbered(described[name], numbers) if name in in_own_words else shared[name] for name in names]
    parts = {
        **{name: renumbered(text, numbers) for name, text in mine.items()},
        "Parameters": "\n".join(parameters),
        **{name: base[name] for name in COPIED},
        "References": "\n".join(f".. [{number}] {words}" for number, words in known.items()),
    }
    written = [f"{name}\n{'-' * len(name)}\n{parts[name]}" for name in ORDER if parts.get(name)]
    return "\n\n".join([parts[""], *written])


def source_of(cls):
    """Return the file of a named estimator."""
    return Path(inspect.getfile(cls))


def new_source(cls):
    """Return the source of a named estimator with its docstring as it must be."""
    source = source_of(cls).read_text(encoding="utf-8")
    lines = source.splitlines()
    nodes = {node.name: node.body[0] for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    docstring = nodes[cls.__name__]
    new = textwrap.indent(f'"""{synced(cls)}\n"""', "    ")
    lines[docstring.lineno - 1 : docstring.end_lineno] = new.split("\n")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for named in NAMED:
        source_of(named).write_text(new_source(named), encoding="utf-8")
        print(f"{source_of(named).name}: {named.__name__}")
