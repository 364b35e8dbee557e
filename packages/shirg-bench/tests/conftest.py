"""What several files share; no test writes into these folders."""

import pytest
import torch
from lmms_eval.api import task as upstream

from shirg_lavida.checkpoint.load import load_lavida

from .accuracy_setup import write_micro
from .explore_setup import draw_page
from .lmms_setup import DATA, small_evaluation, tiny_model, tiny_tasks


@pytest.fixture(scope="session")
def micro(tmp_path_factory):
    """The folder of an untrained micro model."""
    return write_micro(tmp_path_factory.mktemp("micro") / "micro")


@pytest.fixture(scope="session")
def model(micro):
    """That model."""
    return load_lavida(micro, dtype=torch.float32)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A small page with print, in a folder of its own."""
    return draw_page(tmp_path_factory.mktemp("explore") / "page.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny checkpoint."""
    return tiny_model(tmp_path_factory.mktemp("lavida"))


@pytest.fixture
def load(folder):
    """Build the lmms-eval model on that checkpoint, with documents to answer."""
    from shirg_bench.lmms.model import ShirgLavida

    def build(data=DATA, **arguments):
        given = {"pretrained": str(folder), "method": "v3", "budget": "0.5", "device": "cpu", **arguments}
        lm = ShirgLavida(**given)
        lm.task_dict = data
        return lm

    return build


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Tiny tasks; lmms-eval does not look for their data on a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        upstream._resolve_hf_datasets_cache_dir.cache_clear()
        yield tiny_tasks(tmp_path_factory.mktemp("tasks"))
    upstream._resolve_hf_datasets_cache_dir.cache_clear()


@pytest.fixture
def command(folder, tasks, tmp_path):
    """Arguments of a small evaluation into `tmp_path/<name>`."""
    return lambda name, *options: small_evaluation(folder, tasks, tmp_path / name, *options)
