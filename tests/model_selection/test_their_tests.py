"""scikit-learn's own tests of its searches and its cross-validation, run on the searches and functions of skmulti."""

import os
import re
import subprocess
import sys
from pathlib import Path

import skmulti

RUN = """
import sys, types
from pathlib import Path

import pytest
import sklearn
from sklearn import model_selection

import skmulti.model_selection as ours
from skmulti.model_selection import validation

validation.model_selection = types.SimpleNamespace(
    cross_validate=model_selection.cross_validate, cross_val_predict=model_selection.cross_val_predict
)
model_selection.GridSearchCV = ours.BatchedGridSearchCV
model_selection.RandomizedSearchCV = ours.BatchedRandomizedSearchCV
model_selection.cross_validate, model_selection.cross_val_predict = ours.cross_validate, ours.cross_val_predict
tests = Path(sklearn.__file__).parent / "model_selection" / "tests"
files = [str(tests / "test_search.py"), str(tests / "test_validation.py")]
sys.exit(pytest.main(["-q", "--no-header", "-W", "ignore", "-p", "no:cacheprovider", *files, "-k", sys.argv[1]]))
"""

SEARCH = """test_search.py and not Halving and not halving and not Sampler and not callbacks_propagation
and not custom_run_search and not array_api and not sample_weight_equivalence and not empty_cv and not bad_cv
and not 2d_array and not dtype_issue and not unsupervised"""
VALIDATION = """test_validation.py and (failing or routing or params_none or unrequested or groups or invalid_scoring
or cross_val_predict_pandas or y_none or sparse_prediction or unbalanced) and not learning_curve and not permutation"""


def test_scikit_learns_own_tests_pass(tmp_path):
    """Left out: other searches, callbacks inside of fits, a comparison with all attributes, and seconds of work."""
    which = " ".join(f"({SEARCH}) or ({VALIDATION})".split())
    env = {**os.environ, "PYTHONPATH": str(Path(skmulti.__file__).parents[1]), "SCIPY_ARRAY_API": "0"}
    run = subprocess.run([sys.executable, "-c", RUN, which], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 100
