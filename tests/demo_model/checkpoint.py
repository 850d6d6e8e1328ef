"""Reads a training checkpoint's weights under the names of a Hugging Face checkpoint."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray


def read_checkpoint(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every tensor, in float32."""
    state = torch.load(path, weights_only=True, map_location="cpu")["network"]
    return {name if name.startswith("lm_head") else f"model.{name}": weights.numpy() for name, weights in state.items()}
