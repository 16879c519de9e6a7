"""The breast cancer table as a regression with ten targets."""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.utils import Bunch

_DESCR = """\
The ten "worst" measurements of a breast mass from the twenty others
--------------------------------------------------------------------
569 masses. Features: mean and standard error of ten measurements of the cell nuclei on the image of
a fine needle aspirate. Targets: the "worst" (mean of the three largest) of each of the ten, from
hundredths (fractal dimension) to thousands (area). The diagnosis is left out. From
sklearn.datasets.load_breast_cancer, described below.

"""


def load_breast_cancer_measurements(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the breast cancer table as a regression: ten measurements from twenty others.

    The "worst" value (the mean of the three largest) of ten measurements of cell nuclei, from the
    mean and the standard error of the ten. The targets range from hundredths (fractal dimension) to
    thousands (area), and are strongly correlated.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a `Bunch`.
    as_frame : bool, default=False
        Return data frames with the measurements' names, which needs pandas.

    Returns
    -------
    data : Bunch
        With `data` of shape (569, 20) and `target` of shape (569, 10), both float64 or a data
        frame, `feature_names` and `target_names` (lists of str), `frame` (both in one data frame,
        None unless `as_frame`) and `DESCR`.
    (data, target) : tuple
        If `return_X_y`.

    References
    ----------
    .. [1] W. Street, W. Wolberg and O. Mangasarian, "Nuclear feature extraction for breast tumor
       diagnosis", IS&T/SPIE Symposium on Electronic Imaging 1905 (1993), 861-870.

    Examples
    --------
    >>> from skmulti.datasets import load_breast_cancer_measurements
    >>> X, y = load_breast_cancer_measurements(return_X_y=True)
    >>> X.shape, y.shape
    ((569, 20), (569, 10))
    >>> load_breast_cancer_measurements().target_names[:2]
    ['worst radius', 'worst texture']
    """
    table = load_breast_cancer(as_frame=as_frame)
    names = [str(name) for name in table.feature_names]
    targets = [name for name in names if name.startswith("worst ")]
    features = [name for name in names if name not in targets]
    if as_frame:
        frame = table.frame[features + targets]
        data, target = frame[features], frame[targets]
    else:
        frame = None
        data, target = (table.data[:, [names.index(name) for name in some]] for some in (features, targets))
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=features,
        target_names=targets,
        DESCR=_DESCR + table.DESCR,
    )
