# An edge worker or a runner of batches, and Envoy with its configuration. Build from the repository's root:
#   docker build --file docker/edge.Dockerfile --target worker --tag chasqui/edge .
#   docker build --file docker/edge.Dockerfile --target envoy --tag chasqui/envoy .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
# Dependencies change rarely and are a layer of their own; uv checks the hashes that constraints.txt has.
COPY pyproject.toml constraints.txt ./
RUN pip install --quiet --no-cache-dir uv && \
    uv venv --quiet /venv && \
    uv pip install --quiet --no-cache --compile-bytecode --python /venv --requirement pyproject.toml --extra edge --extra bucket --constraint constraints.txt
COPY README.md LICENSE ./
COPY proto proto
COPY services services
COPY edge edge
# The stubs must not be newer than the protobuf at run time: the generator comes from constraints.txt, too.
RUN uv venv --quiet /tools && \
    uv pip install --quiet --no-cache --python /tools --constraint constraints.txt pip hatchling grpcio-tools mypy-protobuf && \
    /tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . && \
    uv pip install --quiet --no-cache --compile-bytecode --no-deps --python /venv --target /app /wheels/*.whl

FROM python:3.12-slim-bookworm AS worker
RUN useradd --uid 10001 --create-home chasqui && \
    install --directory --owner chasqui --group chasqui --mode 0700 /run/chasqui /var/lib/chasqui
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/app/bin:/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    CHASQUI_EDGE_ADDRESS=0.0.0.0:8000 CHASQUI_SERVER_ADDRESS=server:50051 \
    CHASQUI_RELAY_ADDRESS=unix:/run/chasqui/relay.sock
# Everything that it needs can be loaded; what it uses of the standard library is compiled on the way.
RUN PYTHONDONTWRITEBYTECODE= python -c \
    'import edge.batches.worker, edge.envoy.config, edge.worker, s3fs, services.cli, uvloop'
USER 10001:10001
EXPOSE 8000
# Whether it listens. Whether calls get through is what Envoy asks each worker every half second.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["bash", "-c", "exec 3<> /dev/tcp/127.0.0.1/8000"]
ENTRYPOINT ["chasqui"]
CMD ["edge"]

# The names are those of compose.yaml; every address behind `edge` counts as a worker.
FROM worker AS envoy-config
# Where its spans go and its statistics are shown: nowhere, unless compose.observability.yaml says.
ARG OTEL_EXPORTER_OTLP_ENDPOINT="" OTEL_TRACES_SAMPLER="" OTEL_TRACES_SAMPLER_ARG="" \
    CHASQUI_METRICS_ADDRESS="" CHASQUI_TRUST_TRACEPARENT="off"
RUN chasqui envoy-config --host 0.0.0.0 --port 8080 --edge-address edge:8000 > /tmp/envoy.yaml

FROM envoyproxy/envoy:v1.40.0 AS envoy
COPY --chmod=755 docker/envoy.sh /usr/local/bin/chasqui-envoy
COPY --from=envoy-config --chmod=644 /tmp/envoy.yaml /etc/envoy/envoy.yaml
# The image's own user `envoy`, without its entry point, which only turns root into that user.
USER 101:101
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["chasqui-envoy", "healthy"]
ENTRYPOINT ["chasqui-envoy", "run"]
CMD ["envoy", "--config-path", "/etc/envoy/envoy.yaml", "--disable-hot-restart", "--log-level", "warning"]

# The last stage is what a build without --target makes.
FROM worker
