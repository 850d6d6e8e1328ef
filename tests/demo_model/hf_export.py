"""Writes and reads the Hugging Face directory: safetensors, tokenizer, configuration, chat template."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from tests.demo_model import spec as model
from tests.demo_model.tokenizer import token_id

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"


def write_directory(
    directory: Path, spec: model.ModelSpec, weights: Mapping[str, NDArray[np.float32]], tokenizer: Tokenizer
) -> None:
    """Writes float32 weights under their checkpoint names, and everything that transformers needs to load them."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), directory / WEIGHTS, metadata={"format": "pt"})
    tokenizer.save(str(directory / TOKENIZER))
    _write_json(directory / "config.json", _config(spec, tokenizer))
    _write_json(directory / "tokenizer_config.json", _tokenizer_config(spec, tokenizer))
    _write_json(directory / "generation_config.json", _generation_config(tokenizer))


def read_weights(directory: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a written directory."""
    return dict(load_file(directory / WEIGHTS))


def read_spec(directory: Path) -> model.ModelSpec:
    """The shape that the directory's config.json describes."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    scaling = config["rope_scaling"]
    return model.ModelSpec(
        vocabulary=config["vocab_size"],
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        feed_forward=config["intermediate_size"],
        context=config["max_position_embeddings"],
        rope_theta=config["rope_theta"],
        rms_eps=config["rms_norm_eps"],
        rope_scaling=model.RopeScaling(
            scaling["factor"],
            scaling["low_freq_factor"],
            scaling["high_freq_factor"],
            scaling["original_max_position_embeddings"],
        ),
    )


def read_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer of a written directory."""
    return Tokenizer.from_file(str(directory / TOKENIZER))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _ends(tokenizer: Tokenizer) -> list[int]:
    return [token_id(tokenizer, token) for token in (model.END_OF_TEXT, model.EOM, model.EOT)]


def _config(spec: model.ModelSpec, tokenizer: Tokenizer) -> dict[str, Any]:
    scaling = spec.rope_scaling
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": spec.vocabulary,
        "hidden_size": spec.hidden,
        "intermediate_size": spec.feed_forward,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": spec.context,
        "rms_norm_eps": spec.rms_eps,
        "rope_theta": spec.rope_theta,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low,
            "high_freq_factor": scaling.high,
            "original_max_position_embeddings": scaling.original_context,
        },
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": token_id(tokenizer, model.BOS),
        "eos_token_id": _ends(tokenizer),
        "pad_token_id": token_id(tokenizer, model.PAD),
        "torch_dtype": "float32",
    }


def _tokenizer_config(spec: model.ModelSpec, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": spec.context,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "bos_token": model.BOS,
        "eos_token": model.EOT,
        "pad_token": model.PAD,
        "added_tokens_decoder": {
            str(token_id(tokenizer, token)): {
                "content": token,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": True,
            }
            for token in model.SPECIAL_TOKENS
        },
        "chat_template": model.CHAT_TEMPLATE,
    }


def _generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "bos_token_id": token_id(tokenizer, model.BOS),
        "eos_token_id": _ends(tokenizer),
        "pad_token_id": token_id(tokenizer, model.PAD),
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
    }
