#!/usr/bin/env bash
# lmms-eval 0.7.3 with transformers 5.23.0
#
# Expected: lmms-eval's general backend, `--model huggingface`, loads a vision-language model of transformers as the class that generates.
# Happens:  it looks the config's model type up among the keys of transformers' mapping of image-text-to-text models. Those keys are config classes, not
#           names, so nothing is ever found there, and it falls back to AutoModel: LLaVA comes as LlavaModel, which has no language model head and no `generate`.
# Hurts:    no model can be evaluated by it, and the error, a missing attribute, comes only at the first answer, after all weights are loaded.
# Instead:  use the backend of the family (`llava_hf`, `qwen2_5_vl`, `internvl_hf`, …).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" lmms-eval==0.7.3 transformers==5.23.0 torch==2.15.0 torchvision "filelock<4.3"
cat > "$folder/load.py" <<'PYTHON'
from lmms_eval.models.chat.huggingface import Huggingface
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

words = ["<unk>", "<pad>", "<s>", "</s>", "<image>", "what"]
tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
fast = PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
)
fast.add_special_tokens({"additional_special_tokens": ["<image>"]})
images = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
LlavaProcessor(images, fast, patch_size=14, vision_feature_select_strategy="default").save_pretrained("model")
size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
config = LlavaConfig(
    vision_config=CLIPVisionConfig(**size, image_size=28, patch_size=14),
    text_config=LlamaConfig(**size, vocab_size=32, num_key_value_heads=2),
    image_token_index=4,
)
LlavaForConditionalGeneration(config).save_pretrained("model")

keys = AutoModelForImageTextToText._model_mapping.keys()
loaded = Huggingface(pretrained="model", device="cpu", device_map="cpu", attn_implementation="eager").model
print("llava" in keys, LlavaConfig in keys, type(loaded).__name__, hasattr(loaded, "generate"))
PYTHON
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES="" ACCELERATE_USE_CPU=1
seen=$("$folder/venv/bin/python" "$folder/load.py" 2> "$folder/log" | tail -n 1)
echo "lmms-eval 0.7.3, transformers 5.23.0: name among the keys, class among the keys, class loaded, has generate: $seen"
test "$seen" = "False True LlavaModel False"
