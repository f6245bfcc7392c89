"""Write random language models with a real tokenizer: what tests and timings run on.

    python tools/make_tiny_llm.py FOLDER [--kind KIND] [--template NAME] [--shards] [--seed N]
    python tools/make_tiny_llm.py FOLDER --gguf FILE [--kind llama|qwen2|qwen3] [--quantise Q8_0]
    python tools/make_tiny_llm.py FOLDER --shape qwen2.5-0.5b

A tiny model has two layers of width 32, a byte-level BPE tokenizer trained on the sentences below,
and a chat template. A shape-true one has the layers, widths and vocabulary of a published model and
takes as long, but its weights are random: it writes nonsense. The same seed gives the same weights.
config.json says under ``voicebot_weights`` which of the two it is.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "SHAPES",
    "TEMPLATES",
    "write_shape_true_llm",
    "write_tiny_gguf",
    "write_tiny_llm",
    "write_tiny_of_kind",
]

_SENTENCES = [
    "What is the capital of France? The capital of France is Paris.",
    "How old is the bridge? The bridge is a hundred years old.",
    "Tell me a joke. Turn on the light in the kitchen, please!",
    "What time is it? It is half past three. Good morning, how are you?",
    "You are a friendly voice assistant. Answer in one short sentence.",
]
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_VOCABULARY = 384
_WIDTH, _LAYERS, _HEADS, _KEY_VALUE_HEADS, _INNER = 32, 2, 2, 1, 64
_CONTEXT = 1024
_EPSILON = 1e-5
_ROPE_THETA = 10_000.0
_TURNS = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
)
TEMPLATES = {
    "plain": _TURNS + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    # As Qwen 3's: an empty thought where thinking is turned off.
    "thinking": _TURNS + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
    # As DeepSeek R1's: the thought is begun for the model.
    "always-thinking": _TURNS
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}",
    # As Gemma's and Mistral's: neither a system message nor two of one role in a row.
    "strict": "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "raising": "{{ raise_exception('no conversation is good enough') }}",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
}
"""Chat templates: two that serve, two of thinking models, and what they do wrong."""

_TEMPLATE = TEMPLATES["plain"]

_COMMON = {
    "vocab_size": _VOCABULARY,
    "hidden_size": _WIDTH,
    "intermediate_size": _INNER,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _KEY_VALUE_HEADS,
    "head_dim": 16,
    "max_position_embeddings": _CONTEXT,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": _ROPE_THETA,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": False},
    "llama3": {"model_type": "llama", "tie_word_embeddings": True, "rope_parameters": _LLAMA3_ROPE},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"tie_word_embeddings": True, "head_dim": 128},
    "mistral": {"sliding_window": 48},
    "phi3": {"sliding_window": 48},
    "gemma2": {"sliding_window": 48},
    "gemma3_text": {"sliding_window": 48, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt_neox": {},
    "mamba": {"state_size": 8},
    "bamba": {
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 8,
        "attn_layer_indices": [1],
    },
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"]},
    "falcon_h1": {
        "mamba_d_ssm": 32,
        "mamba_n_heads": 2,
        "mamba_d_head": 16,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "mamba_chunk_size": 16,
    },
}
"""Architectures, and their settings beside the common ones. Windows are shorter than prompts."""

SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    },
    "smollm2-360m": {
        "model_type": "llama",
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    },
    "qwen2.5-0.5b": {
        "model_type": "qwen2",
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    },
    "qwen2.5-1.5b": {
        "model_type": "qwen2",
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    },
    "qwen3-0.6b": {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    },
    "llama-3.2-1b": {
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "rope_parameters": _LLAMA3_ROPE
        | {"rope_theta": 500_000.0, "factor": 32.0, "original_max_position_embeddings": 8192},
    },
}
"""Published models' layers, widths and vocabularies; all share the embedding with the output."""


def write_tiny_llm(folder: Path, *, seed: int = 0, template: str = "plain") -> None:
    """Write config.json, model.safetensors (float32), tokenizer and template into ``folder``."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - only where needed

    folder.mkdir(parents=True, exist_ok=True)
    save_file(_weights(seed), folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": _WIDTH,
        "intermediate_size": _INNER,
        "max_position_embeddings": _CONTEXT,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": _LAYERS,
        "num_key_value_heads": _KEY_VALUE_HEADS,
        "rms_norm_eps": _EPSILON,
        "rope_parameters": {"rope_theta": _ROPE_THETA, "rope_type": "default"},
        "tie_word_embeddings": True,
        "vocab_size": _VOCABULARY,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": "float32",
        "voicebot_weights": "tiny",
    }
    _write_json(folder / "config.json", config)
    _write_tokenizer(folder, template)


def write_tiny_of_kind(
    folder: Path,
    kind: str,
    *,
    seed: int = 0,
    template: str = "plain",
    shards: bool = False,
    layers: int = _LAYERS,
) -> None:
    """Write a tiny model of another architecture, as transformers makes and saves it.

    Args:
        folder: made if it is not there.
        kind: one of ``KINDS``.
        seed: of the weights.
        template: one of ``TEMPLATES``.
        shards: spread the weights over several files.
        layers: how many layers.
    """
    import torch  # noqa: PLC0415 - only where needed
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM  # noqa: PLC0415

    settings = _COMMON | KINDS[kind] | {"num_hidden_layers": layers}
    model_type = settings.pop("model_type", kind)
    torch.manual_seed(seed)
    config = CONFIG_MAPPING[model_type](**settings)
    auto_model: Any = AutoModelForCausalLM
    model = auto_model.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        # transformers starts so near to zero that every prompt would get the same reply.
        if weight.ndim > 1 and "conv" not in name and "A_log" not in name:
            weight.data = 0.3 * torch.randn(weight.shape, generator=generator)
        elif name.endswith("bias") and "proj" in name:
            weight.data = 0.5 * torch.randn(weight.shape, generator=generator)
        elif "norm" in name:
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, **({"max_shard_size": "40KB"} if shards else {}))
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _write_json(folder / "config.json", facts | {"voicebot_weights": "tiny"})
    _write_tokenizer(folder, template)


def write_shape_true_llm(folder: Path, shape: str, *, seed: int = 0) -> None:
    """Write a model with random weights (bfloat16) in the shape of a published one.

    Args:
        folder: made if it is not there.
        shape: one of ``SHAPES``.
        seed: of the weights.
    """
    import torch  # noqa: PLC0415 - only where needed
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM  # noqa: PLC0415

    settings = dict(SHAPES[shape]) | {"tie_word_embeddings": True, "dtype": "bfloat16"}
    settings |= {"bos_token_id": 1, "eos_token_id": 2}
    config = CONFIG_MAPPING[settings.pop("model_type")](**settings)
    torch.manual_seed(seed)
    auto_model: Any = AutoModelForCausalLM
    model = auto_model.from_config(config, dtype=torch.bfloat16)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, max_shard_size="1GB")
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _write_json(folder / "config.json", facts | {"voicebot_weights": f"shape-true: {shape}"})
    _write_tokenizer(folder, "plain", vocabulary=SHAPES[shape]["vocab_size"])


def write_tiny_gguf(
    file: Path,
    *,
    seed: int = 0,
    kind: str = "llama",
    template: str = "plain",
    quantisation: str = "F32",
) -> None:
    """Write a tiny model as one GGUF file: ``write_tiny_llm``'s, or that of another kind.

    Args:
        file: where to write.
        seed: of the weights.
        kind: llama, qwen2 or qwen3; the others are those of ``write_tiny_of_kind``.
        template: one of ``TEMPLATES``.
        quantisation: F32, Q8_0, Q4_0 or Q4_1, for matrices.
    """
    import gguf  # noqa: PLC0415 - only where needed

    weights = _weights(seed) if kind == "llama" else _weights_of_kind(kind, seed)
    head_width = KINDS[kind].get("head_dim", _WIDTH // _HEADS)
    writer = gguf.GGUFWriter(str(file), kind)
    writer.add_name("tiny")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KEY_VALUE_HEADS)
    writer.add_rope_dimension_count(head_width)
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_rope_freq_base(_ROPE_THETA)
    writer.add_layer_norm_rms_eps(_EPSILON if kind == "llama" else 1e-6)
    writer.add_vocab_size(_VOCABULARY)
    facts = json.loads(_tokenizer().to_str())
    tokens = sorted(facts["model"]["vocab"], key=facts["model"]["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in _SPECIAL else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in facts["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATES[template])
    for name, weight in weights.items():
        title, stored = _gguf_title(name), weight
        heads = {"attn_q": _HEADS, "attn_k": _KEY_VALUE_HEADS}.get(title.split(".")[-2])
        if heads and kind == "llama":  # GGUF keeps its rotated pairs side by side.
            halves = weight.reshape(heads, 2, -1, weight.shape[1])
            stored = halves.swapaxes(1, 2).reshape(weight.shape)
        form = gguf.GGMLQuantizationType[quantisation if weight.ndim > 1 else "F32"]
        if form == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(title, stored)
        else:
            writer.add_tensor(title, gguf.quants.quantize(stored, form), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_title(name: str) -> str:
    whole = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in whole:
        return whole[name]
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    _, _, layer, rest = name.split(".", 3)
    part, _, last = rest.rpartition(".")
    return f"blk.{layer}.{parts[part]}.{last}"


def _weights_of_kind(kind: str, seed: int) -> dict[str, NDArray[np.float32]]:
    import tempfile  # noqa: PLC0415 - only where needed

    from safetensors.numpy import load_file  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        write_tiny_of_kind(Path(folder), kind, seed=seed)
        weights: dict[str, NDArray[np.float32]] = load_file(Path(folder) / "model.safetensors")
    return weights


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _write_tokenizer(folder: Path, template: str, vocabulary: int = _VOCABULARY) -> None:
    facts = json.loads(_tokenizer().to_str())
    for token_id in range(_VOCABULARY, vocabulary):
        facts["model"]["vocab"][f"\u0120w{token_id}"] = token_id  # a word that is never joined
    (folder / "tokenizer.json").write_text(json.dumps(facts), encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _SPECIAL[1],
        "eos_token": _SPECIAL[2],
        "unk_token": _SPECIAL[0],
        "chat_template": TEMPLATES[template],
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return tokenizer


def _weights(seed: int) -> dict[str, NDArray[np.float32]]:
    import numpy as np  # noqa: PLC0415 - only where needed

    generator = np.random.default_rng(seed)
    head_width = _WIDTH // _HEADS
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (_VOCABULARY, _WIDTH)}
    for layer in range(_LAYERS):
        at = f"model.layers.{layer}."
        shapes |= {
            at + "input_layernorm.weight": (_WIDTH,),
            at + "self_attn.q_proj.weight": (_WIDTH, _WIDTH),
            at + "self_attn.k_proj.weight": (_KEY_VALUE_HEADS * head_width, _WIDTH),
            at + "self_attn.v_proj.weight": (_KEY_VALUE_HEADS * head_width, _WIDTH),
            at + "self_attn.o_proj.weight": (_WIDTH, _WIDTH),
            at + "post_attention_layernorm.weight": (_WIDTH,),
            at + "mlp.gate_proj.weight": (_INNER, _WIDTH),
            at + "mlp.up_proj.weight": (_INNER, _WIDTH),
            at + "mlp.down_proj.weight": (_WIDTH, _INNER),
        }
    shapes["model.norm.weight"] = (_WIDTH,)
    weights = {}
    for name, shape in shapes.items():
        drawn = generator.standard_normal(shape, dtype=np.float32)
        # Norms lie around one; matrices are wide enough that replies differ between prompts.
        weights[name] = 1 + 0.1 * drawn if len(shape) == 1 else 0.3 * drawn
    return weights


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write a random language model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=sorted(KINDS), help="another architecture")
    parser.add_argument("--template", choices=sorted(TEMPLATES), default="plain")
    parser.add_argument("--shards", action="store_true", help="spread the weights over files")
    parser.add_argument("--shape", choices=sorted(SHAPES), help="a published model's shape")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gguf", type=Path, help="also write the model as this GGUF file")
    parser.add_argument("--quantise", default="F32", choices=["F32", "Q8_0", "Q4_0", "Q4_1"])
    arguments = parser.parse_args()
    folder, seed = arguments.folder, arguments.seed
    if arguments.shape:
        write_shape_true_llm(folder, arguments.shape, seed=seed)
    elif arguments.kind or arguments.shards:
        write_tiny_of_kind(
            folder,
            arguments.kind or "llama",
            seed=seed,
            template=arguments.template,
            shards=arguments.shards,
        )
    else:
        write_tiny_llm(folder, seed=seed, template=arguments.template)
    if arguments.gguf:
        write_tiny_gguf(
            arguments.gguf,
            seed=seed,
            kind=arguments.kind or "llama",
            template=arguments.template,
            quantisation=arguments.quantise,
        )


if __name__ == "__main__":
    _main()
