"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

# Between the user's line and ours: searches and pipelines, skorch's loop, workers, decorators.
_LIBRARIES = {"concurrent", "contextlib", "functools", "joblib", "skmulti", "sklearn", "skorch", "threading", "torch"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the file and line of the user's call, however deep in libraries the cause is found.

    The `skip_file_prefixes` of `warnings.warn`, which does the same, needs Python 3.12.

    Parameters
    ----------
    message : str
        What is wrong, and the way out.
    category : type of Warning, default=UserWarning
        The class of the warning.

    Examples
    --------
    >>> import warnings
    >>> from skmulti._warnings import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("The units look wrong.")
    >>> str(caught[0].message)
    'The units look wrong.'
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _package(frame.f_globals) in _LIBRARIES:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
