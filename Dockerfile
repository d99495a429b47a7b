# One image for the API, the workers, migrations and rq-dashboard; the command chooses.

FROM python:3.13-slim AS wheels
WORKDIR /build
COPY requirements.lock ./
# Every package is checked against the lock's hashes here; later steps may only take from /wheels.
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY worker worker
COPY examples examples
RUN pip install --no-cache-dir --no-index --find-links /wheels hatchling \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m venv /opt/headrace \
 && /opt/headrace/bin/pip install --no-cache-dir --no-index --find-links /wheels headrace

FROM python:3.13-slim
RUN useradd --system --uid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin headrace
COPY --from=wheels /opt/headrace /opt/headrace
ENV PATH=/opt/headrace/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=3000
USER headrace
# Workers may import modules of the current folder: nobody but root writes to it.
WORKDIR /
EXPOSE 3000
ENTRYPOINT ["headrace"]
# Also: `worker start`, `migrate`.
CMD ["api"]
