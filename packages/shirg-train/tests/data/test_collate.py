import pytest
from data_files import encode, png

from shirg_train.data.collate import IGNORE_LABEL, collate
from shirg_train.data.record import Record, Turn
from shirg_train.data.samples import Reader


@pytest.fixture
def samples():
    talk = [("why?", "48"), ("what is the total of it?", "7")]
    read = Reader(encode)
    return [
        read(Record(str(i), (png(9 + i, 9),), (Turn("user", q), Turn("assistant", a)))) for i, (q, a) in enumerate(talk)
    ]


@pytest.mark.parametrize("learn_padding", [True, False])
def test_only_answers_bear_labels(samples, learn_padding):
    out = collate(samples, pad_id=0, learn_padding=learn_padding)
    longest = max(len(s.prompt_ids) + len(s.answer_ids) for s in samples)
    assert out.input_ids.shape == (2, longest)
    for row, sample in enumerate(samples):
        start, end = len(sample.prompt_ids), len(sample.prompt_ids) + len(sample.answer_ids)
        assert (out.labels[row, :start] == IGNORE_LABEL).all()
        assert out.labels[row, start:end].tolist() == sample.answer_ids.tolist()
        assert (out.labels[row, end:] == (0 if learn_padding else IGNORE_LABEL)).all()
        assert out.input_ids[row, :end].tolist() == [*sample.prompt_ids.tolist(), *sample.answer_ids.tolist()]
        assert out.attention_mask[row].sum() == (longest if learn_padding else end)
    assert [image.width for image in out.images] == [9, 10]


def test_nothing_cannot_be_collated():
    with pytest.raises(ValueError, match="at least one"):
        collate([], 0)
