"""Write docs/losses.md from the docstrings of the losses: ``make docs``.

Columns, raw outputs, scaling and supported outputs are read from the class; formula, prediction and use from the
Notes of its docstring.
"""

import dataclasses
import inspect
import re
from pathlib import Path

from skmulti import losses
from skmulti.losses import ALIASES, COLUMN_LOSSES

PAGE = Path(__file__).with_name("losses.md")
HEAD = """\
# The losses

<!-- Made by docs/make_losses.py from the docstrings (make docs): edit those. -->

Every loss that has a name, for one column or for a group of columns that belong together. `y` is a target, `p` or `m`
a prediction. Parameters are parameters of the estimator too: `loss__<column>__<parameter>`. A torch loss
(`nn.MSELoss()`) or any callable of (raw outputs, targets) can replace a name, and a
[custom loss](guide.md#custom-losses) takes about fifteen lines.

*Raw outputs* are what the network emits for the columns. *Targets* are standardised where the loss permits it, by the
mean and standard deviation of each column, or with one common standard deviation for a group. What a loss *supports*
beyond the prediction is available from `predict(X, return_std=True)`, `predict_quantiles`,
`predict_interval` and `negative_log_likelihood`; [calibrated intervals](guide.md#calibrated-intervals) work with any
loss.
"""
SCALING = {
    "column": "standardised, each column",
    "group": "standardised, with one common standard deviation",
    None: "not standardised",
}
ROBUST = ", by median and interquartile range"
SUPPORTED = {"std": "standard deviation", "quantiles": "quantiles", "log_likelihood": "likelihood"}


def sections(docstring):
    """Return the sections of a numpydoc docstring by name; the key of the summary is ""."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return {"": parts[0].strip(), **{name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}}


def notes(text):
    """Return the paragraphs of the Notes by their labels, each on one line."""
    labelled = (paragraph.split(":", 1) for paragraph in re.split(r"\n\s*\n", text))
    return {label: " ".join(words.split()) for label, words in labelled}


def parameters(text):
    """Return (name, type and default, description) of each entry of the Parameters."""
    entries = re.split(r"^(\w[\w, ]*?) : (.*)\n", text, flags=re.MULTILINE)
    return [
        (name, kind, " ".join(words.split()))
        for name, kind, words in zip(entries[1::3], entries[2::3], entries[3::3], strict=True)
    ]


def all_parameters(loss):
    """Return what `parameters` does, including parameters inherited from the base class."""
    found = [
        entry
        for cls in reversed(loss.__mro__)
        for entry in parameters(sections(cls.__doc__ or "").get("Parameters", ""))
    ]
    fields = [field.name for field in dataclasses.fields(loss)]
    return sorted({entry[0]: entry for entry in found if entry[0] in fields}.values(), key=lambda e: fields.index(e[0]))


def n_columns(loss):
    """Return how many columns one term has, in words."""
    if loss.n_columns is not None:
        return str(loss.n_columns)
    return notes(sections(loss.__doc__)["Notes"]).get("Columns", "any number `k`, a group").rstrip(".")


def n_raw(loss):
    """Return how many raw outputs one term needs, in words."""
    words = notes(sections(loss.__doc__)["Notes"]).get("Raw outputs")
    if words:
        return words.rstrip(".")
    return "`k`" if loss.n_columns is None else str(loss().n_raw(loss.n_columns))


def markdown(text):
    """Return a docstring's text as Markdown: its paragraphs, single backticks, no citation marks."""
    return re.sub(r" ?\[\d+\]_", "", text).replace("``", "`")


def entry(name, loss):
    """Return the part of the page about one loss."""
    parts = sections(loss.__doc__)
    labelled = notes(parts["Notes"])
    also = ", ".join(f"`{alias}`" for alias, known in ALIASES.items() if known == name)
    supported = ", ".join(words for what, words in SUPPORTED.items() if loss.supports(what))
    rows = {
        "Class": f"`skmulti.losses.{loss.__name__}`" + (f"; other names {also}" if also else ""),
        "Formula": labelled["Formula"],
        "Columns": n_columns(loss),
        "Raw outputs": n_raw(loss),
        "Targets": SCALING[loss.target_scaling] + ROBUST * loss.robust_scaling,
        "Prediction": labelled["Prediction"],
        "Supports": supported or "the prediction only",
        "Use": labelled["Use"],
    }
    lines = [f"## {name}", "", markdown(parts[""]), ""]
    lines += [f"- **{label}**: {markdown(text).rstrip('.')}" for label, text in rows.items()]
    for parameter, kind, words in all_parameters(loss):
        lines.append(f"- **Parameter** `{parameter}` ({markdown(kind)}): {markdown(words)}")
    for source in re.split(r"^\.\. \[\d+\] ", parts["References"], flags=re.MULTILINE)[1:]:
        lines.append(f"- **Source**: {' '.join(source.split())}")
    return "\n".join(lines) + "\n"


def overview(ours):
    """Return the table at the head of the page."""
    lines = ["| name | columns | raw outputs | parameters | supports |", "|---|---|---|---|---|"]
    for name, loss in ours.items():
        names = ", ".join(f"`{parameter}`" for parameter, _, _ in all_parameters(loss))
        supported = ", ".join(words for what, words in SUPPORTED.items() if loss.supports(what))
        lines.append(
            f"| [`{name}`](#{name}) | {markdown(n_columns(loss))} | {markdown(n_raw(loss))} | {names} | {supported} |"
        )
    return "\n".join(lines) + "\n"


def page():
    """Return the whole page."""
    ours = {name: loss for name, loss in COLUMN_LOSSES.items() if getattr(losses, loss.__name__, None) is loss}
    return "\n".join([HEAD, overview(ours), *(entry(name, loss) for name, loss in ours.items())])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(COLUMN_LOSSES)} losses")
