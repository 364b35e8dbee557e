"""The plateau rule."""

import pytest

from shirg_train.adapter.escalation import EscalationConfig, next_rank
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.trainer.validate import selected_nll

RULE = EscalationConfig(ranks=(32, 64), after=(0.3, 0.6), margin=0.1)


@pytest.mark.parametrize(
    ("rank", "step", "nll", "expected"),
    [
        (16, 30, 2.0, 32),
        (16, 29, 2.0, None),
        (16, 30, 1.1, None),
        (16, 30, 1.1001, 32),
        (16, 90, 2.0, 32),
        (32, 59, 2.0, None),
        (32, 60, 2.0, 64),
        (48, 60, 2.0, 64),
        (64, 99, 9.0, None),
    ],
)
def test_next_rank(rank, step, nll, expected):
    assert next_rank(RULE, rank=rank, step=step, total_steps=100, nll=nll, baseline_nll=1.0) == expected


def test_merged_tokens_do_not_make_an_adapter_grow():
    keep = [
        PolicyConfig("baseline"),
        PolicyConfig("pooling", views="single384"),
        *(PolicyConfig("v4", b) for b in (8, 4)),
    ]
    nll = dict(zip((policy.name for policy in keep), (0.0, 9.0, 1.0, 2.0), strict=True))
    assert selected_nll(keep, nll) == 1.5
    assert selected_nll(keep[:2], nll) is None


def test_an_empty_rule_never_grows():
    assert next_rank(EscalationConfig(), rank=1, step=99, total_steps=100, nll=9.0, baseline_nll=0.0) is None


@pytest.mark.parametrize(
    "rule",
    [
        {"ranks": (32,), "after": ()},
        {"ranks": (64, 32), "after": (0.1, 0.2)},
        {"ranks": (32, 64), "after": (0.5, 0.2)},
        {"ranks": (32,), "after": (1.0,)},
    ],
)
def test_rules_that_make_no_sense_are_refused(rule):
    with pytest.raises(ValueError, match="escalation"):
        EscalationConfig(**rule)
