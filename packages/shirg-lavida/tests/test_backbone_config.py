import pytest

from shirg_lavida.families.llada import read_llada
from shirg_lavida.language.config import BackboneConfig

UPSTREAM = {
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
    "rope": True,
    "rope_theta": 500000.0,
    "d_model": 64,
    "n_heads": 4,
    "n_layers": 2,
    "mlp_hidden_size": 96,
    "vocab_size": 100,
    "embedding_size": 128,
    "max_sequence_length": 512,
    "weight_tying": False,
}


def test_reads_upstream_keys():
    config = read_llada(UPSTREAM)
    assert config == BackboneConfig(64, 4, 2, 96, 128, 512, None, 500000.0, 1e-5, False)
    assert (config.head_dim, config.kv_heads) == (16, 4)


def test_absent_keys_mean_upstreams_defaults():
    absent = {"rope_theta", "weight_tying", "mlp_hidden_size", "embedding_size"}
    config = read_llada({k: v for k, v in UPSTREAM.items() if k not in absent})
    assert (config.rope_theta, config.weight_tying, config.mlp_hidden_size) == (10000.0, True, 256)
    assert config.vocab_size == 100


@pytest.mark.parametrize(("key", "name"), [("mlp_hidden_size", "mlp_hidden_size"), ("embedding_size", "vocab_size")])
def test_a_size_of_zero_is_not_replaced_by_a_default(key, name):
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, got 0"):
        read_llada({**UPSTREAM, key: 0})


@pytest.mark.parametrize(("multi_query", "heads"), [(True, 1), (False, 4), (None, 4)])
def test_multi_query_switch(multi_query, heads):
    assert read_llada({**UPSTREAM, "multi_query_attention": multi_query}).kv_heads == heads


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_type", "sequential"),
        ("activation_type", "swiglu"),
        ("layer_norm_type", "default"),
        ("rope", False),
        ("rope_full_precision", False),
        ("alibi", True),
        ("include_bias", True),
        ("include_qkv_bias", True),
        ("scale_logits", True),
        ("block_group_size", 2),
        ("d_model", "64"),
        ("d_model", None),
        ("max_sequence_length", None),
        ("n_heads", 5),
        ("n_kv_heads", 3),
    ],
)
def test_unsupported_value_is_an_error_that_names_its_key(key, value):
    with pytest.raises(ValueError, match=key):
        read_llada({**UPSTREAM, key: value})


def test_contradicting_head_counts():
    with pytest.raises(ValueError, match="disagree"):
        read_llada({**UPSTREAM, "n_kv_heads": 2, "multi_query_attention": True})


def test_missing_switch_is_upstreams_unsupported_default():
    with pytest.raises(ValueError, match="'rope' must be True, got False"):
        read_llada({k: v for k, v in UPSTREAM.items() if k != "rope"})
