"""What several files about the lmms-eval model share."""

import pytest

from .lmms_setup import DATA, tiny_model


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
