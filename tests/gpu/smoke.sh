#!/usr/bin/env bash
# Starts the stage `serve` by its own entry point with random weights, and waits until it serves: smoke.sh SERVE TEST
# (two images). Needs Docker and a GPU; the first thing that `make test-gpu` does.
set -euo pipefail
serve=$1 test=$2
gpu=(--gpus all --ipc host --ulimit memlock=-1 --ulimit stack=67108864)

# Neither an entry point nor a shell's start-up file: TensorRT's libraries must be found all the same.
docker run --rm "${gpu[@]}" --entrypoint python3 "$serve" -c 'import tensorrt_llm; print(tensorrt_llm.__version__)'

volume=$(docker volume create)
container=
trap '[ -z "$container" ] || docker rm --force "$container" > /dev/null; docker volume rm "$volume" > /dev/null' EXIT
docker run --rm --user root --volume "$volume:/model" --entrypoint python3 "$test" -c \
  'from pathlib import Path; from tests.support.tensorrt_llm.release import write_checkpoint; write_checkpoint(Path("/model"), num_hidden_layers=2)'
container=$(docker run --detach "${gpu[@]}" --volume "$volume:/model:ro" --env CHASQUI_MODEL=/model \
  --env CHASQUI_LOAD_FORMAT=dummy --env CHASQUI_CONTEXT_LENGTH=1024 "$serve")
for _ in $(seq "${SMOKE_ATTEMPTS:-120}"); do
  if docker exec "$container" chasqui probe; then
    echo 'the server serves'
    exit 0
  fi
  if [ "$(docker inspect --format '{{.State.Running}}' "$container")" != true ]; then
    echo 'the server has ended:'
    docker logs "$container"
    exit 1
  fi
  sleep "${SMOKE_PAUSE:-5}"
done
echo 'the server does not serve:'
docker logs "$container"
exit 1
