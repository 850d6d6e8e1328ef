"""`python -m tests.demo_model`: builds the demonstration model, as a whole or stage by stage."""

import argparse
from pathlib import Path

from tests.demo_model.pipeline import STAGES, Pipeline
from tests.demo_model.spec import CONFIGS


def main() -> None:
    """Runs the stages that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo_model", description=__doc__)
    parser.add_argument("stage", nargs="?", choices=(*STAGES, "all"), default="all", help="default: all, in this order")
    parser.add_argument(
        "--config",
        choices=sorted(CONFIGS),
        help="full is what is shipped, for a GPU, and the default where there is one; small is for two cores, and the "
        "default elsewhere; smoke takes under a minute",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for checkpoints, Hugging Face files and GGUFs"
    )
    arguments = parser.parse_args()
    pipeline = Pipeline(CONFIGS[arguments.config or _default()], arguments.out)
    for stage in STAGES if arguments.stage == "all" else (arguments.stage,):
        pipeline.run(stage)


def _default() -> str:
    import torch

    return "full" if torch.cuda.is_available() else "small"


if __name__ == "__main__":
    main()
