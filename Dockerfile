# One image for every service: python -m services.<name> api|worker. Needs nothing of the machine it was built on;
# BASE is any image with Python 3.11 or newer and its venv module.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
# Where packages come from, if not from the package index: "--no-index --find-links /wheels".
ARG PIP_ARGUMENTS=""
COPY requirements.lock /build/requirements.lock
RUN python3 -m venv /app/venv \
 && /app/venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-compile \
    --require-hashes ${PIP_ARGUMENTS} -r /build/requirements.lock \
 && /app/venv/bin/python -m pip uninstall --quiet --yes pip setuptools
COPY shared /app/shared
COPY services /app/services
COPY deploy/__init__.py deploy/bill_of_materials.py /app/deploy/
COPY deploy/sample/hengyang /app/deploy/sample/hengyang
RUN cd /app \
 && venv/bin/python -m compileall -q -j 0 venv/lib shared services deploy \
 && venv/bin/python -m deploy.bill_of_materials > /app/bill-of-materials.cdx.json

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="chuangwen" \
      org.opencontainers.image.description="创文: the platform a district runs its civilized city campaign on" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/app/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CHUANGWEN_VERSION=${VERSION} \
    CHUANGWEN_REVISION=${REVISION}
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8080 9090
ENTRYPOINT ["python", "-m"]
