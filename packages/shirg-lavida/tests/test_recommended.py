import pytest

from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.prompt.chat import ChatStyle


def test_a_checkpoint_that_says_nothing_is_a_lavida():
    assert Recommended.from_checkpoint({"model_type": "llava_llada"}) == Recommended()
    assert Recommended().chat == ChatStyle()


def test_what_a_checkpoint_says():
    said = {"system": None, "released_ids": False, "views": "single384", "method": "v3", "budget": 60}
    recommended = Recommended.from_checkpoint({"shirg": said})
    assert recommended == Recommended(None, False, "single384", "v3", 60)
    assert recommended.chat == ChatStyle(None, released_ids=False)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"view": "single"}, "shirg.view is unknown"),
        ({"views": "double"}, "shirg.views"),
        ({"system": 3}, "shirg.system"),
        ({"budget": 0}, "budget"),
        ({"max_new_tokens": "6"}, "shirg.max_new_tokens"),
        ("single", "must be an object"),
    ],
)
def test_nonsense_is_named(said, words):
    with pytest.raises(ValueError, match=words):
        Recommended.from_checkpoint({"shirg": said})
