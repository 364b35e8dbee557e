import pytest

from shirg_train.testbed.pages.config import SPLIT_BITS, TIERS, PageConfig, Tier, split_seed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 100}, "100"),
        ({"size": 225}, "225"),
        ({"channels": 2}, "channels"),
        ({"tier": "medium"}, "plain, cluttered"),
        ({"questions": 9, "facts": (8, 12)}, "questions"),
        ({"faces": ("roboto-9",)}, "tiny"),
        ({"faces": ("tiny", "comic-9")}, "comic-9"),
        ({"kinds": (1.0,)}, "6 weights"),
        ({"parts": 3}, "224 px in 3"),
    ],
)
def test_a_wrong_value_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        PageConfig(**wrong)


def test_a_tier_needs_a_weight_for_every_kind():
    with pytest.raises(ValueError, match="8 weights"):
        Tier((1.0,), 0, 0, 0, 0, 0)
    assert PageConfig(tier=TIERS["hard"]).difficulty is TIERS["hard"]


def test_pages_are_called_what_readers_call_them_and_stay_the_same_pages():
    assert PageConfig(tier="cluttered") == PageConfig(tier="hard")
    assert PageConfig(tier="plain") == PageConfig()


def test_splits_share_no_seed():
    last = 2**SPLIT_BITS - 1
    assert split_seed("train", last) < split_seed("valid", 0) < split_seed("valid", last) < split_seed("test", 0)
    with pytest.raises(ValueError, match="index"):
        split_seed("train", last + 1)
