"""The stages from generated conversations to the GGUF; each reads what the one before wrote to disk."""

import json
from pathlib import Path

from rich.progress import track
from tokenizers import Tokenizer

from tests.demo_model import spec as model
from tests.demo_model.data.corpus import STAGES as STAGES_OF_STREAM
from tests.demo_model.data.corpus import family
from tests.demo_model.gguf_export import write_gguf
from tests.demo_model.hf_export import TOKENIZER, read_weights, write_directory
from tests.demo_model.rendering import render
from tests.demo_model.tokenizer import train_tokenizer

STAGES = ("data", "tokenizer", "train", "export")


class Pipeline:
    """One configuration and its output directory."""

    def __init__(self, build: model.BuildSpec, out: Path) -> None:
        self.build, self.out = build, out
        self.huggingface = out / "huggingface"
        self.checkpoint = out / "checkpoint.pt"
        out.mkdir(parents=True, exist_ok=True)

    def run(self, stage: str) -> None:
        """One of STAGES."""
        {"data": self.data, "tokenizer": self.tokenizer, "train": self.train, "export": self.export}[stage]()

    def gguf(self, quantisation: str) -> Path:
        """Where the GGUF of that quantisation is written."""
        return self.out / f"{model.NAME}-{quantisation}.gguf"

    def data(self) -> None:
        """Writes conversations of the last stage as JSON lines, for people to read and for the tokenizer's training."""
        spec = self.build.train
        with (self.out / "conversations.jsonl").open("w", encoding="utf-8") as file:
            families = range(STAGES_OF_STREAM[-1], STAGES_OF_STREAM[-1] + spec.tokenizer_families)
            for made in (each for number in track(families, "conversations") for each in family(spec.seed, number)):
                text = render(made.messages, made.tools, date=made.date)
                file.write(json.dumps({"kind": made.kind, "text": text}, ensure_ascii=False) + "\n")

    def tokenizer(self) -> None:
        """Trains the tokenizer on the conversations."""
        with (self.out / "conversations.jsonl").open(encoding="utf-8") as file:
            texts = [json.loads(line)["text"] for line in file]
        trained = train_tokenizer(texts, self.build.model.vocabulary)
        trained.save(str(self.out / TOKENIZER))

    def train(self) -> None:
        """Trains, or resumes; then draws the loss."""
        from tests.demo_model.loss_curve import draw
        from tests.demo_model.training import Trainer

        trainer = Trainer(self.build, self._tokenizer(), self.checkpoint)
        trainer.train()
        draw(trainer.losses, self.out / "loss.png")

    def export(self) -> None:
        """The Hugging Face directory from the checkpoint, and both GGUF files from that directory."""
        from tests.demo_model.checkpoint import read_checkpoint

        tokenizer = self._tokenizer()
        write_directory(self.huggingface, self.build.model, read_checkpoint(self.checkpoint), tokenizer)
        weights = read_weights(self.huggingface)
        for quantisation in ("F16", self.build.quantisation):
            write_gguf(self.gguf(quantisation), self.build.model, weights, tokenizer, quantisation)

    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self.out / TOKENIZER))
