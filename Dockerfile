# docker build -t azure-vmss-exporter .
# docker run --read-only -p 10048:10048 -v ./config.yaml:/etc/azure-vmss-exporter/config.yaml:ro azure-vmss-exporter
# docker run --read-only -p 10048:10048 azure-vmss-exporter --demo

FROM python:3.13-slim AS build
WORKDIR /src

# Hashed wheels only: nothing that is not in the locks is fetched, and no compiler is needed.
# --no-deps: the locks are complete, so pip has nothing to resolve.
# /opt/venv gets no pip: that of the build environment fills it.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /opt/build \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes \
        --only-binary :all: -r requirements-build.lock \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile \
        --no-deps --require-hashes --only-binary :all: -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# Compiled here, since the program may write nothing. The hash in place of a time stamp keeps
# the compiled files good however the files are copied.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile \
        --no-index --no-deps /dist/*.whl \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib


FROM python:3.13-slim

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="azure-vmss-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the state of every VM in Azure virtual machine scale sets" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The same base as above: the interpreter that /opt/venv points to is at the same place.
COPY --from=build /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# By number, so that Kubernetes' runAsNonRoot can tell.
USER 65532:65532
EXPOSE 10048
# No HEALTHCHECK: it could not know the listen address. Ask /-/healthy and /-/ready.
ENTRYPOINT ["azure-vmss-exporter"]
CMD ["--config.file=/etc/azure-vmss-exporter/config.yaml"]
