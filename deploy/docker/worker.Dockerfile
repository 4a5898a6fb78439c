# The process that draws, one for each GPU. PyPI's torch for Linux brings CUDA; the host brings the driver.
#   docker build -f deploy/docker/worker.Dockerfile -t easel-worker .
FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/easel && /opt/easel/bin/pip install --no-cache-dir -r requirements/worker.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/easel/bin:$PATH \
    PYTHONPATH=/srv/easel/platform:/srv/easel \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=easel.settings.production \
    EASEL_PROCESS=worker \
    EASEL_VAR=/srv/easel/var \
    HF_HOME=/models/hub \
    DIFFUSERS_DISABLE_REMOTE_CODE=true \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /srv/easel
COPY --from=packages /opt/easel /opt/easel
COPY manage.py LICENSE ./
COPY platform/ platform/
COPY tenants/ tenants/
COPY billing/ billing/
COPY moderation/ moderation/
COPY generation/ generation/
COPY starter/ starter/
RUN useradd --uid 10001 --no-create-home easel \
    && mkdir -p var/run /models \
    && chown -R easel var /models
USER 10001
VOLUME /models
STOPSIGNAL SIGTERM
# Ready: its model is loaded and it listens for bells.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10m CMD ["test", "-e", "/srv/easel/var/run/worker.ready"]
CMD ["python", "manage.py", "worker"]
