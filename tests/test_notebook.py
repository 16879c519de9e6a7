"""What a notebook shows of an estimator: parameters that the user changed, and no others, are marked."""

import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochTimer

from skmulti import MultiHeadRegressor, MultiOutputMLPRegressor, MultiOutputNetRegressor


def data():
    X = np.random.default_rng(0).normal(size=(20, 3))
    return X, X[:, :2]


def changed(estimator):
    rows = re.findall(r'<tr class="user-set">.*?</tr>', estimator._repr_html_(), re.DOTALL)
    return {re.search(r"Copy (\S+) to clipboard", row)[1] for row in rows}


@pytest.mark.parametrize("params", [{}, {"n_members": 2, "max_epochs": 1}], ids=str)
def test_only_what_the_user_gave_is_marked_as_changed(params):
    net = MultiOutputMLPRegressor(**params)
    assert changed(net) == set(params)
    assert changed(net.fit(*data())) == set(params)


@pytest.mark.parametrize("cls", [MultiOutputNetRegressor, MultiHeadRegressor])
def test_plain_nets_show_only_what_was_given(cls):
    assert changed(cls(max_epochs=1).fit(*data())) == {"max_epochs"}


def test_callbacks_that_the_user_gave_or_changed_are_marked():
    net = MultiOutputMLPRegressor(effort=None, max_epochs=1, callbacks=[EpochTimer()], callbacks__print_log=None)
    net.fit(*data())
    assert changed(net) == {"effort", "max_epochs", "callbacks", "callbacks__print_log"}
    assert changed(net.set_params(callbacks__valid_loss__lower_is_better=False)) > {
        "callbacks__valid_loss__lower_is_better"
    }


def test_a_pipeline_shows_its_net_alike():
    pipeline = make_pipeline(StandardScaler(), MultiOutputMLPRegressor(effort="fast", max_epochs=1)).fit(*data())
    assert changed(pipeline) >= {"effort", "max_epochs"}
    assert not any(name.startswith("callbacks") for name in changed(pipeline))


def test_the_parameters_of_default_callbacks_can_still_be_listed_as_in_skorch():
    assert "callbacks__print_log__sink" in MultiOutputMLPRegressor().get_params()
