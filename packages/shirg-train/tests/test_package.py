import importlib.metadata

import shirg_train


def test_version_is_that_of_the_distribution():
    assert shirg_train.__version__ == importlib.metadata.version("shirg-train")
