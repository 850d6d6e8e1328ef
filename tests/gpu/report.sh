#!/usr/bin/env bash
# What `make gpu-report` runs: report.sh PYTHON. In NVIDIA's container where there is Docker and a GPU, or else here on the
# double. GPU_REPORT_MODEL names a checkpoint directory or one on the hub; without it the weights are random.
set -euo pipefail
python=$1 out=build/gpu-report
if ! { command -v nvidia-smi && nvidia-smi -L && command -v docker && docker info; } > /dev/null 2>&1; then
  exec "$python" -m tests.gpu.report "$out"
fi
docker build --file docker/server-gpu.Dockerfile --target serve --tag chasqui/server-gpu .
docker build --file docker/server-gpu.Dockerfile --target test --tag chasqui/server-gpu-test .
mkdir --parents "$out"
chmod 0777 "$out" # the container's user is another
smoke=holds
bash tests/gpu/smoke.sh chasqui/server-gpu chasqui/server-gpu-test 2>&1 | tee "$out/smoke.log" || smoke=$(tail -c 1000 "$out/smoke.log")
model=()
if [ -d "${GPU_REPORT_MODEL:-}" ]; then
  model=(--volume "$(realpath "$GPU_REPORT_MODEL"):/model:ro" --env GPU_REPORT_MODEL=/model)
elif [ -n "${GPU_REPORT_MODEL:-}" ]; then
  model=(--env GPU_REPORT_MODEL --env HF_TOKEN)
fi
docker run --rm --init --gpus all --ipc host --ulimit memlock=-1 --ulimit stack=67108864 --env GPU_REPORT_SMOKE="$smoke" \
  "${model[@]}" --volume "$PWD/$out:/report" --entrypoint python3 chasqui/server-gpu-test -m tests.gpu.report /report
