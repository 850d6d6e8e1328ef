# The chat server with llama.cpp, for machines without a GPU. Build from the repository's root:
#   docker build --file docker/server.Dockerfile --tag chasqui/server .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
# Dependencies change rarely and are a layer of their own; uv checks the hashes that constraints.txt has.
COPY pyproject.toml constraints.txt ./
RUN pip install --quiet --no-cache-dir uv && \
    uv venv --quiet /venv && \
    uv pip install --quiet --no-cache --compile-bytecode --python /venv --requirement pyproject.toml --extra llama-cpp --extra bucket --constraint constraints.txt
COPY README.md LICENSE ./
COPY proto proto
COPY services services
COPY edge edge
# The stubs must not be newer than the protobuf at run time: the generator comes from constraints.txt, too.
RUN uv venv --quiet /tools && \
    uv pip install --quiet --no-cache --python /tools --constraint constraints.txt pip hatchling grpcio-tools mypy-protobuf && \
    /tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . && \
    uv pip install --quiet --no-cache --compile-bytecode --no-deps --python /venv --target /app /wheels/*.whl

FROM python:3.12-slim-bookworm
# OpenMP, for llama.cpp.
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends libgomp1 && \
    rm -rf /var/lib/apt/lists/*
# The edge has the same user: it enters the Relay's directory, which nobody else may.
RUN useradd --uid 10001 --create-home chasqui && \
    install --directory --owner chasqui --group chasqui --mode 0700 /run/chasqui /var/lib/chasqui /models
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/app/bin:/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HF_HOME=/models \
    CHASQUI_SERVER_ADDRESS=0.0.0.0:50051 CHASQUI_RELAY_ADDRESS=unix:/run/chasqui/relay.sock
# Everything that it needs can be loaded; what it uses of the standard library is compiled on the way.
RUN PYTHONDONTWRITEBYTECODE= python -c \
    'import services.accounts.sql.accounts, services.batches.storage, services.chat.server, services.cli, services.engine.llama_cpp.engine, services.probe, s3fs, uvloop, xllamacpp'
USER 10001:10001
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --start-interval=1s CMD ["chasqui", "probe"]
ENTRYPOINT ["chasqui"]
CMD ["server"]
