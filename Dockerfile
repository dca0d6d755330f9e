# Images of Motorisk. `make images` builds both with the git commit as label and the commit's time as the files' time, so
# that the same commit makes the same files (of a few folders that the builder makes itself the times differ):
#   airflow      Airflow's components, and every command of the platform: migrations, live monitor, drift reports
#   webservice   the quote service, with nothing in it that quoting does not need
#
# Everything comes from requirements/*.txt, checked against its hashes. Nothing is trained here: models come from the
# registry. Both run as user 10001 on a read-only root file system and write to their volumes and to memory: /dev/shm,
# and Airflow to a tmpfs on /tmp.
ARG PYTHON_IMAGE=python:3.13.18-slim-trixie

# uv, which installs what is locked; no stage that is shipped has it.
FROM ${PYTHON_IMAGE} AS build
# Compiled files know their source by its content, not by its time: the same for every build, and read-only.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_PROGRESS=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /source
COPY requirements/uv.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/uv && /opt/uv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
ENV PATH=/opt/uv/bin:$PATH
COPY docker/install.sh docker/

# The project as a wheel: one, for both images.
FROM build AS wheel
COPY requirements/build.txt requirements/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv --quiet /opt/hatch && uv pip install --quiet --python /opt/hatch --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY include include
COPY webservice webservice
# The commit's time; libraries, which do not change with it, have a time of their own.
ARG SOURCE_DATE_EPOCH=315532800
RUN uv build --quiet --wheel --no-build-isolation --python /opt/hatch --out-dir /dist

# Libraries and project apart, so that a change of the code leaves the layer of the libraries as it is.
FROM build AS webservice-libraries
COPY requirements/web.txt requirements/
RUN --mount=type=cache,target=/root/.cache/uv docker/install.sh libraries web

FROM webservice-libraries AS webservice-project
ARG SOURCE_DATE_EPOCH=315532800
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist docker/install.sh project

FROM build AS airflow-libraries
COPY requirements/airflow.txt requirements/batch.txt requirements/drift.txt requirements/executors.txt requirements/
RUN --mount=type=cache,target=/root/.cache/uv docker/install.sh libraries airflow batch drift executors
# Airflow loads its executors by name, when it starts: whether they fit the libraries is told here.
RUN AIRFLOW_HOME=/tmp/airflow PYTHONDONTWRITEBYTECODE=1 /opt/motorisk/bin/python -c \
    "import airflow.providers.celery.executors.celery_executor, airflow.providers.cncf.kubernetes.executors.kubernetes_executor"

FROM airflow-libraries AS airflow-project
ARG SOURCE_DATE_EPOCH=315532800
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist docker/install.sh project

# What both images are on.
FROM ${PYTHON_IMAGE} AS base
ENV HOME=/var/lib/motorisk \
    MOTORISK_HOME=/var/lib/motorisk \
    PATH=/opt/motorisk/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    USER=motorisk
RUN echo "motorisk:x:10001:10001:Motorisk:/var/lib/motorisk:/usr/sbin/nologin" >>/etc/passwd \
    && echo "motorisk:x:10001:" >>/etc/group \
    && touch --date=@315532800 /etc/passwd /etc/group \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/motorisk \
    && find / -xdev -perm /6000 -type f -exec chmod a-s {} +
WORKDIR /var/lib/motorisk
COPY --chmod=0755 docker/alive.py /usr/local/bin/alive

FROM base AS airflow
# GitDagBundle clones with git, over ssh where the address says so.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git openssh-client >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/apt/*.bin /var/cache/ldconfig/* /var/cache/debconf/*-old
ENV AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/plugins \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=/var/lib/airflow/bundles \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/var/lib/airflow/logs \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False \
    MPLCONFIGDIR=/tmp/matplotlib
# Plugins belong to the library and its version; DAGs are mounted or come from a git bundle.
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/airflow /var/lib/airflow/logs && install -d /opt/airflow/dags
COPY --from=airflow-libraries /opt/motorisk /opt/motorisk
COPY plugins /opt/airflow/plugins
COPY --from=airflow-project /opt/project /opt/motorisk
USER 10001:10001
ARG GIT_COMMIT=unknown
ARG VERSION=0
LABEL org.opencontainers.image.title="motorisk-airflow" \
      org.opencontainers.image.description="Airflow with Motorisk's library: nights, live monitor, drift reports" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_COMMIT}"
ENTRYPOINT []
CMD ["airflow", "version"]

FROM base AS webservice
COPY --from=webservice-libraries /opt/motorisk /opt/motorisk
COPY --from=webservice-project /opt/project /opt/motorisk
# Temporary files, which are gunicorn's heartbeats and the workers' metrics, are in memory.
ENV MOTORISK_QUOTE_HOST=0.0.0.0 \
    MOTORISK_QUOTE_PORT=80 \
    TMPDIR=/dev/shm
# Of every instance its own: quotes that Postgres does not have yet (journal/), and the model that it served last.
VOLUME ["/var/lib/motorisk"]
USER 10001:10001
EXPOSE 80
# Alive, not ready: without an approved model the service is well, and says so on /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["alive", "quotes"]
ARG GIT_COMMIT=unknown
ARG VERSION=0
LABEL org.opencontainers.image.title="motorisk-webservice" \
      org.opencontainers.image.description="Motorisk's quote service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_COMMIT}"
ENTRYPOINT []
CMD ["gunicorn", "--config", "python:motorisk_web.gunicorn_conf"]
