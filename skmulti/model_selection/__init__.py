"""scikit-learn's searches and cross-validation, with all nets of a search trained together."""

from skmulti.model_selection.search import BatchedGridSearchCV, BatchedRandomizedSearchCV
from skmulti.model_selection.validation import cross_val_predict, cross_validate

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV", "cross_val_predict", "cross_validate"]
