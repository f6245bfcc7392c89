"""Write a tiny random Llama with a real tokenizer: what tests of the language model run on.

Two layers of width 32, a byte-level BPE tokenizer trained on the sentences below, and a chat
template in SmolLM's form. The same seed gives the same weights.

    python tools/make_tiny_llm.py FOLDER [--seed N] [--gguf FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["write_tiny_gguf", "write_tiny_llm"]

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
_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_tiny_llm(folder: Path, *, seed: int = 0) -> None:
    """Write config.json, model.safetensors (float32), tokenizer and template into ``folder``."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - only where needed

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
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
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _SPECIAL[1],
        "eos_token": _SPECIAL[2],
        "unk_token": _SPECIAL[0],
        "chat_template": _TEMPLATE,
    }
    for name, content in (("config.json", config), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")


def write_tiny_gguf(file: Path, *, seed: int = 0) -> None:
    """Write the same model as one GGUF file (float32)."""
    import gguf  # noqa: PLC0415 - only where needed

    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KEY_VALUE_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_rope_freq_base(_ROPE_THETA)
    writer.add_layer_norm_rms_eps(_EPSILON)
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
    writer.add_chat_template(_TEMPLATE)
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    for name, weight in _weights(seed).items():
        stored = weight
        if name == "model.embed_tokens.weight":
            title = "token_embd.weight"
        elif name == "model.norm.weight":
            title = "output_norm.weight"
        else:
            _, _, layer, rest = name.split(".", 3)
            part = rest.removesuffix(".weight")
            title = f"blk.{layer}.{names[part]}.weight"
            heads = {"self_attn.q_proj": _HEADS, "self_attn.k_proj": _KEY_VALUE_HEADS}.get(part)
            if heads:  # GGUF keeps rotated pairs side by side, transformers in two halves.
                halves = weight.reshape(heads, 2, -1, weight.shape[1])
                stored = halves.swapaxes(1, 2).reshape(weight.shape)
        writer.add_tensor(title, stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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
    parser = argparse.ArgumentParser(description="Write a tiny random Llama for tests.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gguf", type=Path, help="also write the model as this GGUF file")
    arguments = parser.parse_args()
    write_tiny_llm(arguments.folder, seed=arguments.seed)
    if arguments.gguf:
        write_tiny_gguf(arguments.gguf, seed=arguments.seed)


if __name__ == "__main__":
    _main()
