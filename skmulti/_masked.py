"""Masked arrays: a masked value is a missing one."""

from __future__ import annotations

from typing import Any

import numpy as np


def without_mask(values: Any) -> Any:
    """Return a masked array as an ordinary one, NaN where it was masked; anything else as it is.

    scikit-learn's validation and `numpy.asarray` drop the mask, and what lies under it would be taken for data.

    Parameters
    ----------
    values : object
        A masked array, a list that has some, or anything else.

    Returns
    -------
    values : object
        Of a masked array an ndarray: integers become double precision where some are masked.

    Examples
    --------
    >>> import numpy as np
    >>> from skmulti._masked import without_mask
    >>> without_mask(np.ma.array([1, -999], mask=[False, True]))
    array([ 1., nan])
    """
    if isinstance(values, (list, tuple)) and any(isinstance(part, np.ma.MaskedArray) for part in values):
        values = np.ma.asarray(values)
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values) or values.dtype.kind not in "biufcOUS":
        return np.asarray(values)
    kind = values.dtype.kind
    numbers = float if kind in "biu" else object if kind in "US" else values.dtype
    return np.ma.filled(values.astype(numbers), np.nan)
