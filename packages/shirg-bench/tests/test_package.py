import importlib.metadata

import shirg_bench


def test_version_is_that_of_the_distribution():
    assert shirg_bench.__version__ == importlib.metadata.version("shirg-bench")
