"""The rotary frequencies with Llama 3's scaling, as numbers; the network and the GGUF use the same ones."""

import math

from tests.demo_model.spec import ModelSpec


def stretch_factors(spec: ModelSpec) -> list[float]:
    """By how much each of the head_size / 2 frequencies is divided (1 for short waves, `factor` for long ones).

    The formula is `_compute_llama3_parameters` of transformers; GGUF carries its values as `rope_freqs.weight`.
    """
    scaling = spec.rope_scaling
    longest, shortest = scaling.original_context / scaling.low, scaling.original_context / scaling.high
    factors = []
    for frequency in base_frequencies(spec):
        wavelength = 2 * math.pi / frequency
        if wavelength < shortest:
            factors.append(1.0)
        elif wavelength > longest:
            factors.append(scaling.factor)
        else:
            smooth = (scaling.original_context / wavelength - scaling.low) / (scaling.high - scaling.low)
            factors.append(1 / ((1 - smooth) / scaling.factor + smooth))
    return factors


def base_frequencies(spec: ModelSpec) -> list[float]:
    """Radians per position of each rotated pair, before scaling."""
    return [spec.rope_theta ** (-index / spec.head_size) for index in range(0, spec.head_size, 2)]


def frequencies(spec: ModelSpec) -> list[float]:
    """Radians per position of each rotated pair."""
    return [base / factor for base, factor in zip(base_frequencies(spec), stretch_factors(spec), strict=True)]
