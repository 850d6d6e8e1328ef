"""llama.cpp's own HTTP server, the one inside `xllamacpp`, in a process of its own.

`python -m tests.bench.llama_cpp_server MODEL PORT SLOTS CONTEXT THREADS`; the context is that of each slot, in tokens.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp


def main() -> None:
    """Serve until a signal ends the process."""
    model, *numbers = sys.argv[1:]
    port, parallel, context, threads = map(int, numbers)
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = parallel
    params.n_ctx = parallel * context
    params.cpuparams.n_threads = threads
    params.use_jinja = True
    params.cache_ram_mib = 0  # as Chasqui has it: no second copy of the KV cache
    params.verbosity = 1  # errors only
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    signal.pause()


if __name__ == "__main__":
    main()
