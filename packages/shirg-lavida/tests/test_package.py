import pytest

import shirg_lavida


def test_every_public_name_resolves():
    for name in shirg_lavida.__all__:
        assert getattr(shirg_lavida, name) is not None


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        shirg_lavida.nothing  # noqa: B018


def test_completion_shows_public_names_only():
    assert dir(shirg_lavida) == sorted(shirg_lavida.__all__)
