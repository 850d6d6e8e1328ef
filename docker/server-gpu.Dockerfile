# The chat server on TensorRT-LLM, for NVIDIA GPUs. Build from the repository's root:
#   docker build --file docker/server-gpu.Dockerfile --target serve --tag chasqui/server-gpu .
# The stage `test` adds what `make test-gpu` runs.
ARG TENSORRT_LLM=1.2.1

FROM python:3.12-slim-bookworm AS wheel
WORKDIR /src
# The oldest generator that pyproject.toml allows: stubs may be older than the protobuf at run time, never newer.
RUN pip install --quiet hatchling mypy-protobuf grpcio-tools==1.76.0
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY services services
COPY edge edge
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM nvcr.io/nvidia/tensorrt-llm/release:${TENSORRT_LLM} AS serve
# What TensorRT-LLM was tested with stays as it is, and a conflict ends the build. Protobuf and gRPC may rise: our stubs
# need protobuf 6.31, and the image's packages ask only for less than that. So may OpenTelemetry, which we need newer.
# pip holds back only what is pinned, so after the installation `pip check` must report nothing that it does not report
# for the image itself. What the image lacks or must raise comes in the version of constraints.txt, so that the same
# sources and base make the same image.
COPY --from=wheel /wheels /tmp/wheels
COPY constraints.txt /tmp/
RUN set -eu; \
    (pip check || true) | sort > /tmp/conflicts-of-the-image.txt; \
    pip freeze --exclude-editable | grep '==' | grep -ivE '^(protobuf|grpcio[a-z-]*|googleapis-common-protos|opentelemetry[a-z-]*)==' \
      > /tmp/held.txt; \
    awk -F '[ =;]+' '{name = tolower($1); gsub(/[._]+/, "-", name)} \
      NR == FNR {held[name]; print; next} /^[a-z0-9]/ && !(name in held) {print $1 "<=" $2}' \
      /tmp/held.txt /tmp/constraints.txt > /tmp/versions.txt; \
    PIP_CONSTRAINT=/tmp/versions.txt pip install --no-cache-dir --no-compile \
      "chasqui[accounts,tensorrt-llm] @ file://$(ls /tmp/wheels/*.whl)"; \
    (pip check || true) | sort > /tmp/conflicts.txt; \
    if comm -13 /tmp/conflicts-of-the-image.txt /tmp/conflicts.txt | grep -v '^No broken requirements' \
      | grep -vE 'has requirement (protobuf|grpcio|googleapis-common-protos|opentelemetry)'; then exit 1; fi; \
    chasqui server --help > /dev/null; \
    python -c 'import services.accounts.sql.accounts, services.batches.storage'; \
    rm -rf /tmp/wheels /tmp/held.txt /tmp/constraints.txt /tmp/versions.txt /tmp/conflicts.txt /tmp/conflicts-of-the-image.txt
RUN useradd --uid 10001 --create-home chasqui && \
    install --directory --owner chasqui --group chasqui --mode 0700 /run/chasqui /var/lib/chasqui /models
# The workers are started through MPI, which must not look for other machines: on some networks it waits for ever.
# The image adds TensorRT's libraries to the path in its entry point and in bash's start-up file only; the health check and
# `docker exec` run neither.
ENV PYTHONUNBUFFERED=1 HF_HOME=/models LD_LIBRARY_PATH=/usr/local/tensorrt/lib:${LD_LIBRARY_PATH} \
    OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo \
    CHASQUI_ENGINE=tensorrt-llm CHASQUI_MODEL=nvidia/Llama-3.1-8B-Instruct-FP8 CHASQUI_PARALLEL=64 \
    CHASQUI_SERVER_ADDRESS=0.0.0.0:50051 CHASQUI_RELAY_ADDRESS=unix:/run/chasqui/relay.sock
USER chasqui
WORKDIR /home/chasqui
EXPOSE 50051
# The first start downloads the weights; loading them and tuning takes minutes every time.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30m --start-interval=2s CMD ["chasqui", "probe"]
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh", "chasqui"]
CMD ["server"]

FROM serve AS test
USER root
RUN pip freeze --exclude-editable | grep '==' > /tmp/held.txt && \
    PIP_CONSTRAINT=/tmp/held.txt pip install --no-cache-dir pytest pytest-asyncio hypothesis psutil && \
    rm /tmp/held.txt
USER chasqui
COPY --chown=chasqui pyproject.toml README.md /home/chasqui/work/
COPY --chown=chasqui tests /home/chasqui/work/tests
WORKDIR /home/chasqui/work
ENTRYPOINT ["bash", "tests/gpu/run.sh"]

# The last stage is what a build without --target makes.
FROM serve
