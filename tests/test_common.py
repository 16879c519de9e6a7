"""Every check of scikit-learn's check_estimator, with default parameters and no expected failure."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmulti import (
    MultiHeadRegressor,
    MultiOutputCNNRegressor,
    MultiOutputMLPRegressor,
    MultiOutputNetRegressor,
)

ESTIMATORS = [
    MultiOutputNetRegressor(),
    MultiOutputMLPRegressor(),
    MultiOutputCNNRegressor(),
    MultiHeadRegressor(),
]


@parametrize_with_checks(ESTIMATORS)
def test_keeps_the_estimator_contract(estimator, check):
    check(estimator)
