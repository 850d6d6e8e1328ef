"""Live calls alone, a batch alone, and both together: `make bench-batches`.

Admission control, pipeline and simulated engine are the real ones, in a loop of virtual time: what is measured is who
gets which slot and when, whatever machine this runs on.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from chasqui.v1 import chat_pb2, chat_service_pb2
from services.accounts.factory import build_limiter
from services.accounts.keys.caller import Caller
from services.accounts.prices.price_list import PriceList
from services.chat.accounting.recorder import CallRecorder
from services.chat.answer.outbox import AwaitedOutbox
from services.chat.pipeline import ChatPipeline
from services.chat.request.catalogue import Catalogue
from services.chat.request.input_processor import InputProcessor
from services.chat.scheduling.admission import Admission
from services.engine.factory import build_engine
from services.settings import Settings
from services.telemetry.call import CallContext, current_call
from services.telemetry.spans import untraced
from services.telemetry.tracing import remote_parent
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from services.engine.api import Generation, Handle, Sink

_TOKENS_PER_SECOND: Final = 50.0  # of each slot
_LIVE_TOKENS: Final = 60
_LINE_TOKENS: Final = 100
_LIVE_SHARE: Final = 0.5  # of the slots that live calls hold, about
_LINES_IN_FLIGHT: Final = 2  # for each slot, as CHASQUI_BATCH_PARALLEL has them
_COLUMNS: Final = (
    *("slots", "live calls", "slots that they hold", "first token p50 alone, ms", "p99", "beside a batch p50", "p99"),
    *("lines/s of a batch alone", "beside them", "of what they leave", "preempted", "tokens prefilled again, per line"),
)
_SAMPLE_SECONDS: Final = 0.007
_MODEL: Final = "meta-llama/Meta-Llama-3.1-8B-Instruct"


@dataclass(frozen=True, slots=True)
class Measured:
    """Live calls that came at the same moments without and with a batch, and the lines that the batch completed."""

    alone: list[float]  # seconds to the first token
    beside: list[float]
    lines_alone: int
    lines_beside: int
    held: float  # the share of the slots that live calls held
    preempted: int
    prefilled_again: int  # tokens: prompts, and what was generated before an interruption

    @property
    def delay(self) -> float:
        """How many times as late the first token is beside a batch, p99."""
        return percentile(self.beside, 99) / percentile(self.alone, 99)

    @property
    def share(self) -> float:
        """What the batch takes of the capacity that live calls leave.

        It may exceed 1: live calls begin sooner in an engine that is at work, and hold their slots that much shorter.
        """
        return self.lines_beside / (self.lines_alone * (1 - self.held))


def percentile(values: list[float], percent: int) -> float:
    """The percentile."""
    return statistics.quantiles(values, n=100)[percent - 1]


class _Traffic:
    """A chat server without a transport, its live calls and its batch; belongs to the running loop."""

    def __init__(self, slots: int) -> None:
        # A queue in which every line that is in flight has room.
        settings = Settings(
            engine="simulated", simulated_rate=_TOKENS_PER_SECOND, parallel=slots, max_queue=10 * slots, flex_wait=1e6
        )
        engine: Any = build_engine(settings)
        self._engine_submits, engine.submit = engine.submit, self._submit
        self.admission = Admission(slots, settings.max_queue, 10**9)
        prices = PriceList(settings, engine.model.name, lambda: ())
        self._pipeline = ChatPipeline(
            engine,
            Catalogue(engine, settings, prices),
            self.admission,
            build_limiter(settings, None),
            InputProcessor(engine),
            CallRecorder(untraced(), engine.model.name, None, traces_content=False),
            settings,
        )
        self._slots = slots
        self.first_tokens: list[float] = []
        self.held = 0.0  # slots, on average while live calls come
        self.lines = 0
        self.prefilled_again = 0

    async def live(self, seconds: float) -> None:
        """Calls come for so long, at random moments that are the same in every run; wait until they have ended."""
        rate = _LIVE_SHARE * self._slots * _TOKENS_PER_SECOND / _LIVE_TOKENS
        moments, loop = random.Random(1), asyncio.get_running_loop()  # noqa: S311 - guards nothing
        end = loop.time() + seconds
        counting = asyncio.create_task(self._count())
        async with asyncio.TaskGroup() as tasks:
            while loop.time() < end:
                await asyncio.sleep(moments.expovariate(rate))
                tasks.create_task(self._live_call())
            counting.cancel()

    async def batch(self, seconds: float) -> None:
        """Lines are run for so long, so many at a time."""
        runners = [asyncio.create_task(self._lines()) for _ in range(_LINES_IN_FLIGHT * self._slots)]
        await asyncio.sleep(seconds)
        for runner in runners:
            runner.cancel()
        await asyncio.gather(*runners, return_exceptions=True)

    async def _live_call(self) -> None:
        loop, outbox = asyncio.get_running_loop(), AwaitedOutbox(streamed=True)
        began, first = loop.time(), 0.0
        call = await self._start(outbox, chat_pb2.SERVICE_TIER_DEFAULT, _LIVE_TOKENS)
        events = await outbox.take()
        while not events[-1].HasField("completed"):
            if not first and outbox.tokens:
                first = loop.time()
            events = await outbox.take()
        call.close()
        self.first_tokens.append(first - began)

    async def _count(self) -> None:
        running = samples = 0
        while True:
            running += self.admission.running
            samples += 1
            self.held = running / samples
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _lines(self) -> None:
        while True:
            outbox = AwaitedOutbox(streamed=False)
            call = await self._start(outbox, chat_pb2.SERVICE_TIER_FLEX, _LINE_TOKENS)
            try:
                while not (await outbox.take())[-1].HasField("completed"):
                    pass
            finally:
                call.close()
            self.lines += 1

    def _submit(self, generation: Generation, sink: Sink) -> Handle:
        self.prefilled_again += len(generation.context) if generation.generated else 0
        handle: Handle = self._engine_submits(generation, sink)
        return handle

    async def _start(self, outbox: AwaitedOutbox, tier: Any, tokens: int) -> Any:
        message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
        request = chat_service_pb2.ChatRequest(
            model=_MODEL, messages=[message], max_tokens=tokens, ignore_eos=True, service_tier=tier
        )
        return await self._pipeline.start(request, current_call.get(), outbox, caller=Caller(f"{tier}"), remaining=None)


def _in_virtual_time(work: Coroutine[Any, Any, _Traffic]) -> _Traffic:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


async def _traffic(slots: int, seconds: float, *, live: bool, batch: bool) -> _Traffic:
    spans = untraced()
    span = spans.begin("bench", remote_parent({}))
    current_call.set(CallContext("bench", "0" * 32, span.context))
    traffic = _Traffic(slots)
    async with asyncio.TaskGroup() as parts:
        if live:
            parts.create_task(traffic.live(seconds))
        if batch:
            parts.create_task(traffic.batch(seconds))
    return traffic


def measured(slots: int, seconds: float) -> Measured:
    """The three runs."""
    alone = _in_virtual_time(_traffic(slots, seconds, live=True, batch=False))
    batch = _in_virtual_time(_traffic(slots, seconds, live=False, batch=True))
    both = _in_virtual_time(_traffic(slots, seconds, live=True, batch=True))
    return Measured(
        alone.first_tokens,
        both.first_tokens,
        batch.lines,
        both.lines,
        alone.held / slots,
        both.admission.preempted,
        both.prefilled_again,
    )


@click.command()
@click.option("--seconds", default=200.0, show_default=True, help="Virtual time of each run.")
def main(seconds: float) -> None:
    """Print a table."""
    click.echo(f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}")
    for slots in (4, 16, 64):
        found = measured(slots, seconds)
        times = [
            f"{percentile(each, percent) * 1e3:.0f}" for each in (found.alone, found.beside) for percent in (50, 99)
        ]
        lines = [f"{count / seconds:.1f}" for count in (found.lines_alone, found.lines_beside)]
        words = [f"{slots}", f"{len(found.alone)}", f"{found.held:.0%}", *times, *lines, f"{found.share:.0%}"]
        again = found.prefilled_again / found.lines_beside
        click.echo(f"| {' | '.join([*words, f'{found.preempted}', f'{again:.0f}'])} |")


if __name__ == "__main__":
    main()
