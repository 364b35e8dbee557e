import json
import shutil
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from huggingface_hub.errors import LocalTokenNotFoundError
from safetensors.torch import load_file, save_file

from shirg_lavida import load_lavida, save_lavida
from shirg_lavida.checkpoint.load import TOWER_FOLDER, TOWER_KEY, checkpoint_keys
from shirg_lavida.testing import set_config, tiny_lavida, tiny_vision, write_tiny_checkpoint
from shirg_lavida.vision.config import SO400M_384

TIED = "model.transformer.ff_out.weight"
SMALL = {"side": 6, "patch_size": 4}


@pytest.fixture
def folder(tmp_path):
    return write_tiny_checkpoint(tmp_path / "ck", 3, **SMALL)


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    # Written beside and renamed: the old file may still be mapped.
    save_file(weights, path.with_suffix(".new"), metadata={"format": "pt"})
    path.with_suffix(".new").rename(path)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("projector", ["mlp2x_gelu", "linear", "pooler"])
def test_round_trip(tmp_path, projector):
    model = tiny_lavida(5, **SMALL, mm_projector_type=projector)
    save_lavida(model, tmp_path / "saved")
    loaded = load_lavida(tmp_path / "saved")
    assert same_weights(model, loaded)
    assert loaded.config == model.config
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert not any(t.is_meta for t in [*loaded.parameters(), *loaded.buffers()])
    found, expected = (one.embed_prompt(torch.tensor([1]), [])[0] for one in (loaded, model))
    torch.testing.assert_close(found, expected)


def test_keys_are_upstreams():
    keys = checkpoint_keys(tiny_lavida(0, **SMALL))
    assert {
        "model.image_newline",
        "model.mm_projector.0.weight",
        "model.mm_projector.2.bias",
        "model.transformer.wte.weight",
        "model.transformer.blocks.1.ff_proj.weight",
        "model.transformer.ff_out.weight",
        "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight",
        "model.vision_tower.vision_tower.vision_model.encoder.layers.1.self_attn.out_proj.bias",
        "model.vision_tower.vision_tower.vision_model.post_layernorm.weight",
    } <= keys.keys()
    assert not any(".layers.2." in key or ".head." in key for key in keys)


def test_tied_output_has_no_key(tmp_path):
    write_tiny_checkpoint(tmp_path / "ck", weight_tying=True, **SMALL)
    assert "model.transformer.ff_out.weight" not in load_file(tmp_path / "ck" / "model.safetensors")
    assert load_lavida(tmp_path / "ck").backbone.ff_out is None


def test_shards(tmp_path):
    folder = write_tiny_checkpoint(tmp_path / "ck", 3, max_shard_size="60KB", **SMALL)
    assert (folder / "model.safetensors.index.json").is_file()
    assert len(list(folder.glob("*.safetensors"))) > 2
    assert same_weights(load_lavida(folder), tiny_lavida(3, **SMALL))


@pytest.mark.parametrize("prefixed", [False, True])
def test_tower_in_its_own_folder(tmp_path, prefixed):
    folder = write_tiny_checkpoint(tmp_path / "ck", 3, tower="folder", **SMALL)
    assert not any(key.startswith(TOWER_KEY) for key in load_file(folder / "model.safetensors"))
    tower = folder / TOWER_FOLDER / "model.safetensors"
    weights = {key.removeprefix("vision_model."): w.clone() for key, w in load_file(tower).items()}
    if prefixed:  # as in a whole SigLIP: text model, last layer and head beside what is needed
        weights = {f"vision_model.{key}": w for key, w in weights.items()}
        weights |= {
            "vision_model.head.probe": torch.zeros(1),
            "text_model.x": torch.zeros(1),
            "logit_scale": torch.zeros(1),
        }
    tower.unlink()
    save_file(weights, tower)
    assert same_weights(load_lavida(folder), tiny_lavida(3, **SMALL))


def test_tower_folder_may_be_absolute_or_given(tmp_path, folder):
    moved = (folder / TOWER_FOLDER).rename(tmp_path / "elsewhere")
    set_config(folder, mm_vision_tower=str(moved))
    assert same_weights(load_lavida(folder), tiny_lavida(3, **SMALL))
    set_config(folder, mm_vision_tower="/nowhere/siglip")
    with pytest.raises(FileNotFoundError, match="/nowhere/siglip"):
        load_lavida(folder)
    assert same_weights(load_lavida(folder, vision_tower=moved), tiny_lavida(3, **SMALL))


def test_a_given_tower_is_looked_for_here_and_then_in_the_checkpoint(tmp_path, folder, monkeypatch):
    set_config(folder, mm_vision_tower="/nowhere/siglip")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert same_weights(load_lavida(folder, vision_tower=TOWER_FOLDER), tiny_lavida(3, **SMALL))
    Path(TOWER_FOLDER).mkdir()
    with pytest.raises(FileNotFoundError, match=r"the vision tower: no config\.json"):
        load_lavida(folder, vision_tower=TOWER_FOLDER)


@pytest.mark.parametrize("named", ["/data/authors/siglip", "google/siglip-so400m-patch14-384", None])
def test_released_checkpoints_hold_a_tower_of_known_shape(folder, monkeypatch, named):
    shutil.rmtree(folder / TOWER_FOLDER)
    set_config(folder, mm_vision_tower=named)
    monkeypatch.setattr("shirg_lavida.checkpoint.load.SO400M_384", tiny_vision(**SMALL))
    assert same_weights(load_lavida(folder), tiny_lavida(3, **SMALL))


@pytest.mark.parametrize("named", ["/data/authors/siglip", None])
def test_a_tower_that_is_not_there_names_the_option(folder, named):
    set_config(folder, mm_vision_tower=named)
    with pytest.raises((OSError, ValueError), match=r"mm_vision_tower.*name the SigLIP tower by --vision-tower"):
        load_lavida(folder)


def test_the_known_tower_is_recognised_by_all_its_shapes():
    shapes = {
        "embeddings.patch_embedding.weight": (1152, 3, 14, 14),
        "embeddings.position_embedding.weight": (729, 1152),
        **{f"encoder.layers.{i}.mlp.fc1.weight": (4304, 1152) for i in range(26)},
    }
    assert SO400M_384.holds(shapes)
    assert not SO400M_384.holds({**shapes, "encoder.layers.26.mlp.fc1.weight": (4304, 1152)})
    assert not SO400M_384.holds({**shapes, "embeddings.position_embedding.weight": (256, 1152)})
    assert not SO400M_384.holds({})


def test_hub_ids_are_downloaded(tmp_path, folder, monkeypatch):
    asked = []

    def fake_download(repo, allow_patterns):
        asked.append((repo, "*.safetensors" in allow_patterns))
        return str(folder if repo == "some/lavida" else moved)

    moved = (folder / TOWER_FOLDER).rename(tmp_path / "elsewhere")
    set_config(folder, mm_vision_tower="google/siglip-so400m-patch14-384")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake_download)
    monkeypatch.chdir(tmp_path)
    assert same_weights(load_lavida("some/lavida"), tiny_lavida(3, **SMALL))
    # The checkpoint carries the tower's weights, so that its config is enough.
    assert asked == [("some/lavida", True), ("google/siglip-so400m-patch14-384", False)]


@pytest.mark.parametrize("reached", [False, True])
def test_a_hub_that_cannot_be_reached_is_named_and_no_token(tmp_path, monkeypatch, reached):
    def look_up(*_):
        if not reached:
            raise socket.gaierror("Name or service not known")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.chdir(tmp_path)
    nowhere, asks = "no connection to the hub$", "Token is required"
    for error, message in (
        (ConnectionError("no route"), nowhere),
        (LocalTokenNotFoundError(asks), asks if reached else nowhere),
        (OSError("disk quota"), "disk quota"),
    ):
        monkeypatch.setattr("huggingface_hub.snapshot_download", Mock(side_effect=error))
        with pytest.raises(OSError, match=f"'some/lavida' is not a folder.*: {message}"):
            load_lavida("some/lavida")


def test_dtype_and_device(folder):
    model = load_lavida(folder, dtype=torch.bfloat16, device="cpu")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert same_weights(model, tiny_lavida(3, **SMALL).bfloat16())
    assert load_lavida(folder).image_newline.dtype == torch.float32


def test_stored_dtype_is_kept_unless_it_is_mixed(folder):
    change_weights(folder, lambda w: w.update({k: v.bfloat16() for k, v in w.items()}))
    assert {p.dtype for p in load_lavida(folder).parameters()} == {torch.bfloat16}
    change_weights(folder, lambda w: w.update({"model.image_newline": w["model.image_newline"].float()}))
    with pytest.raises(ValueError, match="BF16, F32"):
        load_lavida(folder)
    assert {p.dtype for p in load_lavida(folder, dtype=torch.float32).parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("model.image_newline"), "lacks model.image_newline"),
        (lambda w: w.update({"model.extra": torch.zeros(1)}), "no place for: model.extra"),
        (lambda w: w.update({"model.image_newline": torch.zeros(63)}), r"image_newline has shape \[63\].*\[64\]"),
        (lambda w: w.update({"model.image_newline": torch.zeros(64, dtype=torch.int64)}), "I64"),
        (lambda w: w.pop(f"{TOWER_KEY}post_layernorm.bias"), "post_layernorm.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(ValueError, match=message):
        load_lavida(folder, dtype=torch.float32)


def test_not_a_lavida_checkpoint(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="neither a folder nor a hub id"):
        load_lavida(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError, match="is a file"):
        load_lavida(folder / "config.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"not a LaViDa checkpoint: no config\.json"):
        load_lavida(tmp_path / "empty")
    set_config(folder, model_type="llama")
    with pytest.raises(ValueError, match="model_type"):
        load_lavida(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        load_lavida(folder)


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or truncated"):
        load_lavida(folder)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ValueError, match=r"model\.safetensors is a git-lfs pointer.*git lfs pull"):
        load_lavida(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load_lavida(folder)


@pytest.mark.parametrize("dtype", [torch.int8, "float8", "int8", "", torch.complex64])
def test_wrong_dtype(folder, dtype):
    with pytest.raises(ValueError, match="dtype must be"):
        load_lavida(folder, dtype=dtype)


def test_device_or_device_map(folder):
    with pytest.raises(ValueError, match="not both"):
        load_lavida(folder, device="cpu", device_map="auto")
    assert same_weights(load_lavida(folder, device_map={"": "cpu"}), tiny_lavida(3, **SMALL))
    with pytest.raises(ValueError, match="device_map gives 'tower' no device"):
        load_lavida(folder, device_map={})
    with pytest.raises(RuntimeError, match="Device string must not be empty"):
        load_lavida(folder, device="")


def test_saving_is_all_or_nothing(tmp_path, monkeypatch):
    model = tiny_lavida(0, **SMALL)
    target = tmp_path / "ck"
    save_lavida(model, target)
    with pytest.raises(FileExistsError, match="overwrite"):
        save_lavida(model, target)
    other = tiny_lavida(1, **SMALL)
    save_lavida(other, target, overwrite=True)
    assert same_weights(load_lavida(target), other)

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("huggingface_hub.save_torch_state_dict", fail)
    with pytest.raises(OSError, match="disk full"):
        save_lavida(model, target, overwrite=True)
    assert same_weights(load_lavida(target), other)
    assert [p.name for p in tmp_path.iterdir()] == ["ck"]


def test_a_rename_that_fails_puts_the_old_checkpoint_back(tmp_path, monkeypatch):
    target = tmp_path / "ck"
    old = tiny_lavida(0, **SMALL)
    save_lavida(old, target)
    real = Path.rename

    def fail(path, to):
        if path.name == "fresh":
            raise OSError("no space left")
        return real(path, to)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no space left"):
        save_lavida(tiny_lavida(1, **SMALL), target, overwrite=True)
    assert same_weights(load_lavida(target), old)
    assert [p.name for p in tmp_path.iterdir()] == ["ck"]


def test_saved_config_keeps_every_key(tmp_path):
    save_lavida(tiny_lavida(0, **SMALL, my_note="kept"), tmp_path / "ck")
    saved = json.loads((tmp_path / "ck" / "config.json").read_text())
    assert saved["my_note"] == "kept"
    assert saved["mm_vision_tower"] == TOWER_FOLDER


def test_unmerged_adapters_are_not_saved(tmp_path):
    model = tiny_lavida(0, **SMALL)
    model.register_parameter("adapter", torch.nn.Parameter(torch.zeros(1)))
    with pytest.raises(ValueError, match="adapter"):
        save_lavida(model, tmp_path / "ck")


def test_weights_are_as_readable_as_any_new_file(tmp_path):
    for options in ({}, {"max_shard_size": "60KB"}):
        folder = tmp_path / f"ck{len(options)}"
        save_lavida(tiny_lavida(0, **SMALL), folder, **options)
        plain = tmp_path / "plain"
        plain.touch()
        modes = {path.stat().st_mode for path in folder.iterdir() if path.is_file()}
        assert modes == {plain.stat().st_mode}


@pytest.mark.parametrize("factor", [1, 2])
def test_a_tied_output_that_is_stored_all_the_same(tmp_path, factor):
    folder = write_tiny_checkpoint(tmp_path / "ck", weight_tying=True, **SMALL)
    change_weights(folder, lambda w: w.update({TIED: w["model.transformer.wte.weight"] * factor}))
    if factor == 1:
        assert load_lavida(folder).backbone.ff_out is None
    else:
        with pytest.raises(ValueError, match=f"{TIED} differs"):
            load_lavida(folder)
