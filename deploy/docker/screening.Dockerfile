# Sentence embeddings and image classifiers on a processor. It is given no database and no customer's key.
#   docker build -f deploy/docker/screening.Dockerfile -t easel-screening .
FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/easel && /opt/easel/bin/pip install --no-cache-dir -r requirements/screening.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/easel/bin:$PATH \
    PYTHONPATH=/srv/easel/platform:/srv/easel \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    EASEL_SCREENING_LISTEN=0.0.0.0:8002
WORKDIR /srv/easel
COPY --from=packages /opt/easel /opt/easel
COPY LICENSE ./
COPY platform/ platform/
COPY tenants/ tenants/
COPY billing/ billing/
COPY moderation/ moderation/
COPY generation/ generation/
RUN useradd --uid 10001 --no-create-home easel
USER 10001
EXPOSE 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8002/healthz', timeout=2)"]
CMD ["python", "-m", "moderation.screening"]
