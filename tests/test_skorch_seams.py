"""What a skorch user does beside the ordinary: callbacks taken out, rows in groups, parts of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import ValidSplit
from skorch.exceptions import SkorchAttributeError
from torch import nn

from skmulti import MultiOutputMLPRegressor, MultiOutputNetRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ RNG.normal(size=(3, 2))
GROUPS = np.repeat(np.arange(12), 5)


def plain(**params):
    return MultiOutputMLPRegressor(**{"effort": None, "max_epochs": 2, "random_state": 0, **params})


def quick(**params):
    """The default ensemble, short."""
    return MultiOutputMLPRegressor(**{"max_epochs": 2, "n_members": 3, "random_state": 0, **params})


class Count(Callback):
    def __init__(self, name="count", seen=None):
        self.name, self.seen = name, seen

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(self.name)


@pytest.fixture
def seen():
    return Seen()


class Seen(list):
    """A list that stays itself in clones."""

    def __deepcopy__(self, memo):
        return self


# Callbacks taken out.


def counting(make, seen):
    return make(callbacks=[(name, Count(name, seen)) for name in ("a", "b", "c")])


@pytest.mark.parametrize("make", [quick, plain])
def test_a_callback_is_taken_out_of_a_fitted_net(make, seen):
    net = counting(make, seen).fit(X, Y)
    once = list(seen)
    seen.clear()
    net.set_params(callbacks__b=None).fit(X, Y)
    assert seen == [name for name in once if name != "b"]


@pytest.mark.parametrize("make", [quick, plain])
def test_a_callback_is_taken_out_before_fit_and_in_a_clone(make, seen):
    net = clone(counting(make, seen).set_params(callbacks__a=None, callbacks__c=None)).fit(X, Y)
    assert set(seen) == {"b"}
    assert [name for name, _ in net.callbacks_ if name in "abc"] == ["b"]


@pytest.mark.parametrize("make", [quick, plain])
def test_a_callback_is_taken_out_between_two_calls_of_partial_fit(make, seen):
    net = counting(make, seen).partial_fit(X, Y)
    seen.clear()
    net.set_params(callbacks__b=None).partial_fit(X, Y)
    assert set(seen) == {"a", "c"}


def test_a_callback_is_replaced_in_a_fitted_net(seen):
    net = counting(plain, seen).fit(X, Y)
    seen.clear()
    net.set_params(callbacks__b=Count("new", seen)).partial_fit(X, Y)
    assert seen == ["a", "new", "c"] * 2


def test_a_default_callback_is_taken_out():
    net = plain(verbose=1, callbacks__print_log=None).fit(X, Y)
    assert "print_log" not in dict(net.callbacks_)


def test_a_callback_that_was_taken_out_has_no_parameters(seen):
    net = counting(plain, seen).set_params(callbacks__b=None)
    params = net.get_params()
    assert params["callbacks__b"] is None
    assert "callbacks__b__name" not in params
    assert params["callbacks__a__name"] == "a"


@pytest.mark.parametrize("value", [None, Count()])
@pytest.mark.parametrize("make", [quick, plain])
def test_a_callback_that_there_is_not_is_refused(make, value):
    with pytest.raises(ValueError, match=r"The 'callbacks__nobody' parameter must name a callback of this net"):
        make(callbacks__nobody=value).fit(X, Y)


def test_a_callback_that_there_is_not_leaves_a_fitted_net_as_it_was():
    net = plain().fit(X, Y)
    before = net.predict(X)
    with pytest.raises(ValueError, match="'callbacks__nobody'"):
        net.set_params(callbacks__nobody=None)
    assert "callbacks__nobody" not in net.get_params()
    np.testing.assert_array_equal(net.predict(X), before)


# Rows in groups.


class KeptRows(Callback):
    """Writes down the first column of the training inputs and of the validation inputs."""

    def __init__(self, seen=None):
        self.seen = seen

    def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
        self.seen.append([{float(y[0]) for _, y in dataset} for dataset in (dataset_train, dataset_valid)])


def test_groups_reach_train_split(seen):
    targets = np.column_stack([GROUPS, X[:, 0]]).astype(float)
    for make in (quick, plain):
        make(train_split=ValidSplit(GroupKFold(3)), callbacks=[KeptRows(seen)]).fit(X, targets, groups=GROUPS)
    assert len(seen) > 2
    for train, valid in seen:
        assert train
        assert valid
        assert not train & valid


def test_groups_of_rows_that_do_not_count_are_left_out(seen):
    targets = np.column_stack([GROUPS, X[:, 0]]).astype(float)
    weight = np.where(GROUPS < 4, 0.0, 1.0)
    net = plain(train_split=ValidSplit(GroupKFold(3)), callbacks=[KeptRows(seen)])
    net.fit(X, targets, sample_weight=weight, groups=GROUPS.astype(str))
    train, valid = seen[0]
    assert train | valid == set(map(float, range(4, 12)))
    assert not train & valid


def test_groups_reach_train_split_in_partial_fit(seen):
    net = plain(train_split=ValidSplit(GroupKFold(3)))
    net.partial_fit(X, Y, groups=GROUPS).partial_fit(X, Y, groups=GROUPS)
    assert len(net.history_) == 4
    # Nothing of them stays behind.
    with pytest.raises(ValueError, match="groups"):
        net.partial_fit(X, Y)


def test_groups_are_routed_through_a_pipeline():
    net = plain(train_split=ValidSplit(GroupKFold(3)))
    with config_context(enable_metadata_routing=True):
        make_pipeline(StandardScaler(), net).fit(X, Y, groups=GROUPS)


@pytest.mark.parametrize("make", [quick, plain])
def test_groups_that_nobody_looks_at_are_refused(make):
    with pytest.raises(ValueError, match="The 'groups' argument is for 'train_split'"):
        make().fit(X, Y, groups=GROUPS)
    with pytest.raises(ValueError, match="The 'groups' argument must be None where X_val and y_val"):
        make(train_split=ValidSplit(GroupKFold(3))).fit(X, Y, groups=GROUPS, X_val=X, y_val=Y)


def test_groups_must_have_a_label_per_row():
    with pytest.raises(ValueError, match=r"one label per row, 60\. Got 59"):
        plain(train_split=ValidSplit(GroupKFold(3))).fit(X, Y, groups=GROUPS[1:])


# Parts of one's own.


def test_a_subclass_builds_its_module_without_ours():
    class Own(MultiOutputNetRegressor):
        def initialize_module(self):
            self.module_ = nn.Linear(3, 2)
            return self

    assert Own(max_epochs=1, random_state=0).fit(X, Y).predict(X).shape == Y.shape


def test_an_optimizer_that_is_no_parameter_is_not_taken_for_one():
    class Own(MultiOutputNetRegressor):
        def initialize(self, X=None, y=None):
            super().initialize(X, y)
            self.second = torch.optim.Adam(self.module_.parameters())
            return self

    with pytest.raises(SkorchAttributeError, match="'second' outside of an initialize method"):
        Own(max_epochs=1).initialize(X, Y)


def test_a_parameter_of_a_subclass_may_be_a_module():
    class Own(MultiOutputNetRegressor):
        def __init__(self, module=nn.Linear, *, helper=None, **params):
            super().__init__(module, **params)
            self.helper = helper

    helper = nn.Linear(2, 2)
    assert Own(helper=helper).get_params()["helper"] is helper


def test_a_score_is_still_named_by_the_user():
    net = plain(callbacks=[("score", EpochScoring("r2", on_train=True))], callbacks__score__name="mine").fit(X, Y)
    assert "mine" in net.history_[-1]
