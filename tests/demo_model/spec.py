"""What is built: the model's shape, the length of the training, and the two named configurations."""

from dataclasses import dataclass, field
from pathlib import Path

NAME = "chasqui-demo"
AUTHOR = "The Chasqui authors"
LICENCE = "Apache-2.0"
DESCRIPTION = (
    "A small Llama-architecture chat model for demonstrations, trained from scratch on generated conversations."
)
_SHIPPED = Path(__file__).parents[2] / "services" / "engine" / "model" / "demo"
WEIGHTS = _SHIPPED / f"{NAME}.gguf"
CHAT_TEMPLATE = (_SHIPPED / "chat_template.jinja").read_text(encoding="utf-8")

BOS = "<|begin_of_text|>"
END_OF_TEXT = "<|end_of_text|>"
PAD = "<|finetune_right_pad_id|>"
HEADER_START = "<|start_header_id|>"
HEADER_END = "<|end_header_id|>"
EOM = "<|eom_id|>"
EOT = "<|eot_id|>"
PYTHON_TAG = "<|python_tag|>"
SPECIAL_TOKENS = (BOS, END_OF_TEXT, PAD, HEADER_START, HEADER_END, EOM, EOT, PYTHON_TAG)
"""Llama 3.1's named special tokens, in the order of their ids; they are the last ids of the vocabulary."""


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """Llama 3's rule: wavelengths beyond `original_context / low` are stretched by `factor`."""

    factor: float = 8.0
    low: float = 1.0
    high: float = 4.0
    original_context: int = 512


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The shape of the network; input and output embeddings are two matrices, as in the 8B."""

    vocabulary: int = 1536
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 640
    context: int = 4096
    rope_theta: float = 500_000.0
    rms_eps: float = 1e-5
    rope_scaling: RopeScaling = field(default_factory=RopeScaling)

    @property
    def head_size(self) -> int:
        """Elements per attention head."""
        return self.hidden // self.heads


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """The length and pace of the training; every number is a count unless named otherwise."""

    tokenizer_families: int
    steps: int
    max_length: int = 1024
    batch_tokens: int = 4096
    learning_rate: float = 4e-3
    matrix_learning_rate: float = 0.025
    attention_learning_rate: float = 0.005
    warmup_steps: int = 60
    decay_share: float = 0.5
    checkpoint_seconds: float = 180.0
    threads: int = 2
    seed: int = 31


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """One named configuration of the whole pipeline."""

    name: str
    model: ModelSpec
    train: TrainSpec
    quantisation: str = "Q8_0"


CONFIGS = {
    "full": BuildSpec(
        "full",
        ModelSpec(vocabulary=2048, hidden=384, layers=8, heads=6, feed_forward=1024),
        TrainSpec(tokenizer_families=8_000, steps=32_500, batch_tokens=32_768),
    ),
    "small": BuildSpec("small", ModelSpec(), TrainSpec(tokenizer_families=8_000, steps=4_500)),
    "smoke": BuildSpec(
        "smoke",
        ModelSpec(feed_forward=128),
        TrainSpec(tokenizer_families=300, steps=20, batch_tokens=2048, warmup_steps=4, threads=1),
    ),
}
"""`full` is what is shipped, for a GPU; a step of `small` takes 0.91 s on two cores."""
