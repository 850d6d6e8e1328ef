"""`python -m tests.demo_model.agreement`: how often a GGUF's greedy token is the Hugging Face weights' choice."""

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

import torch
from rich.progress import track

from tests.demo_model.answerers import DATE, Gguf
from tests.demo_model.heldout import all_cases
from tests.demo_model.hf_export import read_spec, read_tokenizer, read_weights
from tests.demo_model.layout import layout
from tests.demo_model.network import Network
from tests.demo_model.rendering import render
from tests.demo_model.spec import EOT
from tests.demo_model.tokenizer import encode, token_id


def load_network(directory: Path) -> Network:
    """The network with the weights of a Hugging Face directory."""
    network = Network(read_spec(directory), seed=0)
    weights = read_weights(directory)
    network.load_state_dict({name.removeprefix("model."): torch.from_numpy(values) for name, values in weights.items()})
    return network


def agreement(directory: Path, gguf: Path) -> tuple[int, int]:
    """Tokens on which both agree, and tokens that the GGUF wrote, over all held-out prompts at temperature 0.

    Each token is compared given the same tokens before it, so one difference does not make the rest differ.
    """
    network, tokenizer = load_network(directory), read_tokenizer(directory)
    end = token_id(tokenizer, EOT)
    same = total = 0
    with closing(Gguf(gguf)) as model:
        for case in track(all_cases(), gguf.name, transient=True):
            prompt = encode(tokenizer, render(case.messages, case.tools, date=DATE, add_generation_prompt=True))
            written, stopped = model.continue_ids(prompt)
            if stopped and written[-1:] != [end]:
                written.append(end)
            ids = torch.tensor([*prompt, *written])
            places = torch.arange(len(prompt) - 1, len(ids) - 1)
            with torch.inference_mode():
                chosen = network(ids, layout([(len(ids),)], ids.device), places).argmax(-1)
            same += int((chosen == ids[len(prompt) :]).sum())
            total += len(written)
    return same, total


def main() -> None:
    """Reads the command line and prints one line for each GGUF."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo_model.agreement", description=__doc__)
    parser.add_argument("--huggingface", type=Path, required=True, help="directory that the export wrote")
    parser.add_argument("gguf", type=Path, nargs="+")
    arguments = parser.parse_args()
    for path in arguments.gguf:
        same, total = agreement(arguments.huggingface, path)
        sys.stdout.write(json.dumps({"gguf": path.name, "agree": same, "tokens": total, "share": same / total}) + "\n")


if __name__ == "__main__":
    main()
