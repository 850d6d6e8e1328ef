"""What the READMEs claim of the TensorRT-LLM engine and its image, and what settles each claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ENGINE: Final = "services/engine/tensorrt_llm/README.md"
DOCKER: Final = "docker/README.md"


@dataclass(frozen=True, slots=True)
class Claim:
    """A text of a README. `check` is the name of a check or step of the report; without one, `reason` says why."""

    source: str
    text: str
    check: str = ""
    reason: str = ""


_SEVERAL = "needs several GPUs"
_FAULT = "needs a worker to be broken; tested on the double"
_WEIGHTS = "needs real weights and minutes: chasqui build-engine"
_RELEASE = "needs another release"

CLAIMS: Final = (
    Claim(ENGINE, "presence_penalty` and `frequency_penalty` count the completion", "penalties_leave_the_prompt_out"),
    Claim(ENGINE, "`repetition_penalty` the prompt and the completion", "repetition_penalty_counts_the_prompt"),
    Claim(ENGINE, "`min_tokens` is refused by the PyTorch sampler of 1.2", "min_tokens_count_the_prompt"),
    Claim(ENGINE, "Log probabilities are the model's own", "log_probabilities_are_the_model_s"),
    Claim(ENGINE, "`ignore_eos` is refused beside a grammar", reason="the chat server refuses it; nothing to see here"),
    Claim(ENGINE, "A sampler accepts all parameters", "top_p_top_k_and_min_p_narrow"),
    Claim(ENGINE, "results and the shutdown keep to one event loop", "shutdown"),
    Claim(ENGINE, "a batch may mix requests with and without log probabilities", "a_batch_mixes_log_probabilities"),
    Claim(ENGINE, "a guided token that the back end rejects", reason="no request provokes one; tested on the double"),
    Claim(ENGINE, "a prompt of 131,072 tokens fits an 80 GB GPU", "the_context_can_be_filled"),
    Claim(ENGINE, "`embedding_bias` reaches the logits through TRTLLMSampler", "logit_bias_decides"),
    Claim(ENGINE, "`min_tokens` counts the prompt in the PyTorch sampler", "min_tokens_count_the_prompt"),
    Claim(ENGINE, "several machines work with", reason="needs several machines"),
    Claim(ENGINE, "FP8 calibration may download its data set", reason=_WEIGHTS),
    Claim(ENGINE, "one event loop, one thread", "contract suite"),
    Claim(ENGINE, "`.result()` blocks inside a loop", "contract suite"),
    Claim(ENGINE, "the same object is yielded at each step, other sequences keep stale differences", "contract suite"),
    Claim(ENGINE, "ids become fewer when a stop token is cut off", "stop_tokens_are_cut_off"),
    Claim(ENGINE, "text stops end a whole request, without abort, and miss what spans tokens", "contract suite"),
    Claim(ENGINE, "one SamplingParams object is changed by its submission", "contract suite"),
    Claim(ENGINE, "`ignore_eos` leaves the other end tokens in force", "ignore_eos_goes_on"),
    Claim(ENGINE, "greedy with several choices is refused", "contract suite"),
    Claim(ENGINE, "penalties, min_p and seed without effect in the default sampler", "seeds_repeat"),
    Claim(ENGINE, "an unset seed is seed 0 for each request", "unseeded_generations_differ"),
    Claim(ENGINE, "presence and frequency penalties count the prompt", "penalties_leave_the_prompt_out"),
    Claim(ENGINE, "`min_tokens` masks `end_id` only", "min_tokens_count_the_completion"),
    Claim(ENGINE, "Eagle3 in one model takes the most probable token", reason="needs a draft model"),
    Claim(ENGINE, "no CUDA graph for batches of 33 to 63", "many_streams_run"),
    Claim(ENGINE, "a failed assertion on log probabilities", "a_batch_mixes_log_probabilities"),
    Claim(ENGINE, "TensorRT's libraries are on the path of the image's entry point only", "smoke test"),
    Claim(ENGINE, "later releases accept `sampler_type` but not TRTLLMSampler", reason=_RELEASE),
    Claim(ENGINE, "a constraint without a back end is dropped", "grammars_are_enforced"),
    Claim(
        ENGINE, "abort only asks, and may never be confirmed during a prefill", "a_cancel_during_prefill_frees_its_slot"
    ),
    Claim(ENGINE, "success without a token, once KV-cache blocks are lost", reason=_FAULT),
    Claim(ENGINE, "fatal errors, dead workers", reason=_FAULT),
    Claim(ENGINE, "`shutdown()` may hang", "shutdown"),
    Claim(ENGINE, "workers left on the GPU", "shutdown"),
    Claim(ENGINE, "MPI: `__main__`, `mpirun`, the host's network", "smoke test"),
    Claim(ENGINE, "fork after CUDA or MPI", "contract suite"),
    Claim(ENGINE, "a broken server's workers hold memory for a while after it was started again", reason=_FAULT),
    Claim(ENGINE, "prompts above `max_num_tokens` without chunked prefill", "the_context_can_be_filled"),
    Claim(ENGINE, "statistics: one queue, drained, done after silence", "the_heartbeat_moves"),
    Claim(ENGINE, "statistics and metrics grow host memory with postprocess workers", reason="needs hours"),
    Claim(ENGINE, "KV reuse in 1.2.0 corrupts", "prompts_share_the_cache"),
    Claim(ENGINE, "FP8 KV cache with reuse gives wrong answers on compiled engines", reason=_WEIGHTS),
    Claim(ENGINE, "guided decoding and drafts crash together", reason="not offered together"),
    Claim(ENGINE, "abort, log probabilities and gathered logits crash together", reason="logits are never gathered"),
    Claim(ENGINE, "TP > 1: aborts and hangs in NCCL at exit", reason=_SEVERAL),
    Claim(ENGINE, "tracing replaces the global provider", reason="needs a collector"),
    Claim(DOCKER, "the whole context, 131,072 tokens", "the_context_can_be_filled"),
    Claim(DOCKER, "prompts that begin alike are stored once", "prompts_share_the_cache"),
    Claim(DOCKER, "The image takes 37 GB", reason="docker images shows it"),
    Claim(DOCKER, "A compiled engine**, on release 1.2 only", reason=_WEIGHTS),
    Claim(DOCKER, "FP8 is calibrated by TensorRT-LLM", reason=_WEIGHTS),
    Claim(DOCKER, "8.9 (Ada) or newer; on others the server refuses it", reason="needs a GPU without FP8"),
    Claim(DOCKER, "The memory of a MIG instance", reason="needs a MIG instance"),
    Claim(DOCKER, "On one machine `CHASQUI_TENSOR_PARALLEL` is all", reason=_SEVERAL),
    Claim(DOCKER, "A worker that dies fails the running calls", reason=_FAULT),
    Claim(DOCKER, "a comparison of every name and default that the adapter uses", "names and defaults"),
    Claim(DOCKER, "a throughput run beside `trtllm-bench`", "throughput"),
    Claim(DOCKER, "starts the image by its own entry point", "smoke test"),
)
