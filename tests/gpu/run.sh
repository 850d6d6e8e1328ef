#!/usr/bin/env bash
# What `make test-gpu` runs inside the GPU image: names and defaults, the contract suite, then throughput.
set -euo pipefail
nvidia-smi --query-gpu=name,memory.total,compute_cap --format=csv,noheader
# The package's own imports warn; ours are held to no warnings by the tests on the double.
options=(--override-ini "filterwarnings=default" --color=no -ra)
status=0
python3 -m pytest "${options[@]}" tests/gpu || status=1
python3 -m pytest "${options[@]}" tests/contract/test_engines.py -k tensorrt-llm || status=1
python3 -m tests.bench.gpu_throughput || status=1
exit "$status"
