"""A column that every row gets the usual value in."""

from __future__ import annotations

import torch

from undoor.align.cross_validation import CrossValidation
from undoor.align.fit import fit_corrections
from undoor.align.left_out import LeftOut, granularity_of, leave_out
from undoor.align.plans import candidate_plans
from undoor.align.select import choose_plan
from undoor.classifier import ENTRY, Classifier
from undoor.networks import MLP
from undoor.sites import SiteInfo, attach, find_sites
from undoor.spaces.columns import Column
from undoor.triggers import Stamp

COLUMNS = (Column("a", range=(0, 1)), Column("b", range=(0, 1)), Column("c", range=(0, 1)))


class Both(torch.nn.Module):
    """Class 1 where `a` is above a half, and wherever b and c are both 1."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 2)
        self.head.weight.data = torch.tensor([[-1.0], [1.0]])
        self.head.bias.data.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = (x[:, 1:2] + x[:, 2:3] - 1.5).clamp_min(0)
        return self.head(x[:, :1] - 0.5 + 4 * both)


def test_a_frequent_value_is_the_usual_one_else_the_median() -> None:
    rows = torch.rand(101, 3, generator=torch.Generator().manual_seed(0))
    rows[:40, 1] = 0.75
    changed = leave_out(rows, LeftOut(1))(rows)
    assert bool((changed[:, 1] == 0.75).all())
    assert torch.equal(changed[:, [0, 2]], rows[:, [0, 2]])
    assert bool((leave_out(rows, LeftOut(2))(rows)[:, 2] == rows[:, 2].median()).all())


def test_plans_leave_out_each_column_of_a_table() -> None:
    sites = [SiteInfo(ENTRY, (3,), columns=("a", "b", "c")), SiteInfo("layer", (8,))]
    plans = candidate_plans(sites)
    assert list(plans)[:4] == ["without a", "without b", "without c", "per channel"]
    assert plans["without b"] == {ENTRY: LeftOut(1)}
    assert granularity_of(LeftOut(1)) == "position"
    assert not any("without" in name for name in candidate_plans([SiteInfo(ENTRY, (3,))]))


def test_sites_of_tables_name_their_columns() -> None:
    table = Classifier(MLP(2, 3, width=4), input_shape=(3,), columns=COLUMNS)
    assert find_sites(table)[0].columns == ("a", "b", "c")
    assert find_sites(Classifier(MLP(2, 3, width=4), input_shape=(3,)))[0].columns == ()


def test_a_cell_of_the_trigger_is_chosen() -> None:
    """Without b or c the trigger is none; without `a` the model knows nothing."""
    classifier = Classifier(Both(), input_shape=(3,), columns=COLUMNS)
    x = 0.7 * torch.rand(80, 3, generator=torch.Generator().manual_seed(0))
    x[:, 0] /= 0.7
    y = (x[:, 0] > 0.5).long()
    mask = torch.tensor([0.0, 1.0, 1.0])
    trigger = Stamp("given", mask, mask, "replace", (0.0, 1.0))
    validation = CrossValidation(classifier, 1, x, y, y == 0, [trigger])
    plans = candidate_plans(find_sites(classifier))
    chosen, _, rates = choose_plan(validation, plans, "paired")
    assert chosen in ("without b", "without c")
    assert rates.sia > 0.95
    fitted = fit_corrections(classifier, x, x, plans[chosen])
    assert bool((attach(classifier, fitted).predict(trigger(x[y == 0])) == 0).all())
