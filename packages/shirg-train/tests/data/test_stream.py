import itertools
import json
import logging

import pytest
from data_files import decode, encode, write_llava
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shirg_train.data.json_source import JsonSource
from shirg_train.data.order import held_out_indices
from shirg_train.data.samples import Reader
from shirg_train.data.stream import SampleStream
from shirg_train.recipe import RecipeError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return JsonSource(write_llava(folder, 11), folder / "images")


def stream(source, **options):
    return SampleStream(source, Reader(encode), seed=5, **options)


def take(some, n):
    return [sample.key for sample in itertools.islice(some, n)]


def test_epochs_follow_each_other_without_gap_or_repeat(source):
    keys = take(stream(source), 33)
    for epoch in range(3):
        assert len(set(keys[11 * epoch : 11 * epoch + 11])) == 11
    assert keys[:11] != keys[11:22]
    assert take(stream(source), 33) == keys


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_take_turns_in_one_rank_s_order(source, world):
    whole = take(stream(source), 24)
    for rank in range(world):
        assert take(stream(source, rank=rank, world=world), 24 // world) == whole[rank::world]


def test_held_out_samples_never_come(source):
    held_out = held_out_indices(11, 4, seed=5)
    some = stream(source, held_out=held_out)
    assert len(some) == 7
    assert not {int(key) for key in take(some, 28)} & set(held_out.tolist())


@given(before=st.integers(0, 25), workers=st.sampled_from([0, 2]))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_resumed_stream_goes_on_where_it_was(source, before, workers):
    first = stream(source, rank=1, world=2, workers=workers)
    whole = take(stream(source, rank=1, world=2), before + 7)
    assert take(first, before) == whole[:before]
    state = json.loads(json.dumps(first.state_dict()))
    second = stream(source, rank=1, world=2, workers=workers)
    second.load_state_dict(state)
    assert take(second, 7) == whole[before:]


def test_a_place_in_another_stream_is_refused(source):
    state = stream(source, rank=0, world=2).state_dict()
    with pytest.raises(ValueError, match="another stream"):
        stream(source).load_state_dict(state)


@pytest.mark.parametrize("workers", [0, 3])
def test_corrupt_samples_are_skipped_counted_and_logged(tmp_path, caplog, workers):
    path = write_llava(tmp_path, 10, broken={2, 7})
    (tmp_path / "images" / "00001" / "000000004.jpg").unlink()
    some = stream(JsonSource(path, tmp_path / "images"), workers=workers)
    with caplog.at_level(logging.WARNING):
        keys = take(some, 14)
    assert {int(key) for key in keys} == {0, 1, 3, 5, 6, 8, 9}
    assert set(some.skipped) == {"unreadable image", "missing image"}
    assert some.skipped.total() == some.state_dict()["passed"] - 14 >= 3
    assert sum("skipped a corrupt sample" in message for message in caplog.messages) == some.skipped.total()
    resumed = stream(JsonSource(path, tmp_path / "images"))
    resumed.load_state_dict(some.state_dict())
    assert resumed.skipped == some.skipped


def test_nothing_but_corrupt_samples_is_an_error(tmp_path):
    path = write_llava(tmp_path, 4, broken=range(4))
    with pytest.raises(RecipeError, match="4 samples in a row cannot be trained on; the last one: unreadable image"):
        take(stream(JsonSource(path, tmp_path / "images")), 1)
    # A rank sees half of each epoch, and must not take its half for all there is.
    with pytest.raises(RecipeError, match="in a row cannot be trained on"):
        take(stream(JsonSource(path, tmp_path / "images"), rank=1, world=2), 1)


@pytest.mark.parametrize(("n", "usable"), [(2, 1), (4, 1), (6, 2)])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_a_small_file_with_few_usable_samples_goes_on(tmp_path, n, usable, world):
    path = write_llava(tmp_path, n, broken=range(usable, n))
    for rank in range(world):
        keys = take(stream(JsonSource(path, tmp_path / "images"), rank=rank, world=world), 25)
        assert {int(key) for key in keys} <= set(range(usable))


def test_many_corrupt_samples_of_one_epoch_in_a_row_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("shirg_train.data.stream.GIVE_UP_AFTER", 5)
    path = write_llava(tmp_path, 40, broken=range(1, 40))
    with pytest.raises(RecipeError, match="5 samples in a row cannot be trained on"):
        take(stream(JsonSource(path, tmp_path / "images")), 40)


def test_a_file_that_is_gone_is_one_line(tmp_path):
    path = write_llava(tmp_path, 4)
    some = stream(JsonSource(path, tmp_path / "images"))
    path.unlink()
    with pytest.raises(RecipeError, match=r"data: sample \d cannot be read: .*blip_laion"):
        take(some, 1)


def test_samples_carry_image_and_answer(source):
    sample = next(iter(stream(source)))
    assert decode(sample.answer_ids) == f"{int(sample.key)}<|eot_id|>"
    assert sample.images[0].size == (20 + int(sample.key), 30)


@pytest.mark.parametrize(("wrong", "said"), [({"rank": 2, "world": 2}, "rank"), ({"workers": -1}, "workers")])
def test_wrong_options_are_named(source, wrong, said):
    with pytest.raises(ValueError, match=said):
        stream(source, **wrong)
