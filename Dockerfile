# syntax=docker/dockerfile:1
# memory-proxy with its embedding model: docker build -t memory-proxy .
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock .
# Every wheel is checked against the lock here; of them, only what the proxy needs to run is installed below.
RUN pip wheel --no-cache-dir --no-deps --require-hashes --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE proxy.yaml ./
COPY config/prompts config/prompts
COPY proxy proxy
RUN python -m venv /opt/memory-proxy \
    && /opt/memory-proxy/bin/pip install --no-cache-dir --no-index --find-links /wheels .
# Both forms of the model: no process in the image may write to /models.
RUN MEMORY_PROXY_EMBEDDING__MODELS_DIR=/models MEMORY_PROXY_EMBEDDING__PRECISION=int8 /opt/memory-proxy/bin/memory-proxy models pull \
    && /opt/memory-proxy/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin proxy \
    && install --directory --owner proxy /data
COPY --from=build /opt/memory-proxy /opt/memory-proxy
COPY --from=build /models /models
ENV PATH=/opt/memory-proxy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MEMORY_PROXY_LISTEN__HOST=0.0.0.0 \
    MEMORY_PROXY_LISTEN__PORT=8080 \
    MEMORY_PROXY_IDENTITY__TENANT=api_key \
    MEMORY_PROXY_STORE__PATH=/data \
    MEMORY_PROXY_EMBEDDING__MODELS_DIR=/models
# A proxy.yaml in /data is read; the environment above overrides it. Each API key has memories of its own, under names
# made with /data/tenant.key: keep it, or set MEMORY_PROXY_IDENTITY__TENANT_SECRET. auth.clients goes before that.
WORKDIR /data
VOLUME /data
USER 10001
EXPOSE 8080
# With TLS (listen.tls_certificate) give it another check. http.client, as urllib would ask an HTTP_PROXY for this address.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['MEMORY_PROXY_LISTEN__PORT']), timeout=3); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["memory-proxy"]
CMD ["serve"]
