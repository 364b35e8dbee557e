from pathlib import Path

import pytest
import torch

from shirg_bench.lmms.digest import model_digest
from shirg_bench.lmms.settings import ModelSettings
from shirg_core import ShirgV2, ShirgV3
from shirg_core.baselines import Pooling
from shirg_core.cli.errors import BadInput
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.testing import set_config
from shirg_train.testbed.micro.samples import joint_folder

from .lmms_setup import tiny_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("lavida"))


def test_strings_become_values():
    given = {
        "pretrained": "somewhere",
        "method": "v3",
        "budget": "0.25",
        "views": "single",
        "adapter": "lora",
        "positions": "original",
        "cache": "False",
        "batch_size": "4",
        "max_batch_size": None,
        "device": None,
        "seed": "7",
        "block_length": "8",
        "prefix_lm": "true",
    }
    settings = ModelSettings.from_arguments(given)
    assert settings == ModelSettings(
        pretrained="somewhere",
        method="v3",
        budget=0.25,
        views="single",
        adapter=Path("lora"),
        positions="original",
        cache=False,
        batch_size=4,
        seed=7,
        sampling={"block_length": 8, "prefix_lm": True},
    )
    assert ModelSettings.from_arguments({"budget": 768}).budget == 768


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metod": "v3"}, "unknown model argument 'metod', did you mean 'method'? known: pretrained, method"),
        ({"method": "v44"}, "unknown method 'v44'"),
        ({"method": "full", "budget": 8}, "method 'full' takes no budget, got 8"),
        ({"budget": "2.5"}, "got '2.5'"),
        ({"views": "all"}, "views must be one of"),
        ({"dtype": "float8"}, "dtype must be one of"),
        ({"positions": "free"}, "positions must be one of packed, original, got 'free'"),
        ({"batch_size": "auto"}, "batch_size: expected a number, got 'auto'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer in"),
        ({"block_length": -5}, "block_length must be an integer ≥ 1, got -5"),
    ],
)
def test_bad_arguments_are_named(given, message):
    with pytest.raises((ValueError, BadInput)) as error:
        ModelSettings.from_arguments(given)
    assert message in str(error.value)


def test_methods_see_images_their_way(folder):
    def pipe(**given):
        return ModelSettings.from_arguments({"pretrained": str(folder), **given}).open(CPU)

    assert pipe(method="v3", budget=0.5).selector == ShirgV3(budget=0.5)
    assert pipe(method="v3").views == "single"
    assert pipe(method="full").views == "anyres_full"
    assert pipe(method="pooling").selector is None
    assert isinstance(pipe(method="pooled", views="single").selector, Pooling)
    baseline = pipe(method="baseline")
    assert baseline.selector is None
    assert baseline.views == "single384"


def test_the_checkpoint_recommends_what_is_not_given(tmp_path):
    folder = tiny_model(tmp_path)
    set_config(folder, shirg={"method": "v2", "budget": 0.5, "views": "single"})
    pipe = ModelSettings.from_arguments({"pretrained": str(folder)}).open(CPU)
    assert pipe.selector == ShirgV2(budget=0.5)
    assert pipe.views == "single"


def test_the_embedded_model_is_the_default_whatever_folders_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "micro-joint").mkdir()
    own = LavidaPipeline.from_pretrained(joint_folder())
    assert model_digest(ModelSettings.from_arguments({}).open(CPU)) == model_digest(own)
    with pytest.raises(BadInput, match=r"config\.json"):
        ModelSettings.from_arguments({"pretrained": "micro-joint"}).open(CPU)


def test_a_budget_is_refused_by_a_checkpoints_own_method_that_takes_none(tmp_path):
    folder = tiny_model(tmp_path)
    set_config(folder, shirg={"method": "full", "views": "single"})
    given = ModelSettings.from_arguments({"pretrained": str(folder), "budget": "0.1"})
    for use in (given.resolved, lambda: given.open(CPU)):
        with pytest.raises(BadInput, match=r"method 'full', the checkpoint's own, takes no budget, got 0\.1"):
            use()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({}, ("v4", 0.25, "anyres")),
        ({"method": "v3", "budget": 9}, ("v3", 9, "single")),
        ({"method": "full"}, ("full", None, "anyres_full")),
        ({"method": "baseline"}, ("baseline", None, "single384")),
        ({"method": "pooled", "views": "single"}, ("pooling", None, "single")),
    ],
)
def test_what_is_recorded_is_what_is_used(folder, given, used):
    settings = ModelSettings.from_arguments({"pretrained": str(folder), **given})
    resolved = settings.resolved()
    assert (resolved.method, resolved.budget, resolved.views) == used
    assert settings.open(CPU).views == resolved.views


def test_a_missing_model_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="neither a folder nor a hub id"):
        ModelSettings(pretrained=str(tmp_path / "nowhere")).open(CPU)
