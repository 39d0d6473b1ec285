# One image for all roles: `docker run spendwatch worker`, `api`, `deliver`, `connect NAME`.
# --build-arg EXTRAS="postgres parquet" adds the readers of Parquet exports (150 MB more).
# Health is checked by whoever runs the role, at the role's own port: see docker-compose.yml.

FROM python:3.12-slim AS build
ARG EXTRAS="postgres"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
# The locked requirements first: they change less often than the code, and this layer is the large one.
COPY requirements/ requirements/
RUN python -m venv /opt/spendwatch \
    && /opt/spendwatch/bin/pip install --require-hashes -r requirements/build.txt -r requirements/base.txt \
    && for extra in $EXTRAS; do \
         /opt/spendwatch/bin/pip install --require-hashes -r "requirements/$extra.txt" || exit 1; \
       done
COPY pyproject.toml README.md LICENSE ./
COPY connectors/ connectors/
COPY detectors/ detectors/
COPY service/ service/
# Neither pip nor setuptools goes into the image; the code is compiled once here instead of at every start.
RUN /opt/spendwatch/bin/pip install --no-deps --no-build-isolation . \
    && /opt/spendwatch/bin/pip uninstall --yes --quiet setuptools pip \
    && python -m compileall -q /opt/spendwatch

FROM python:3.12-slim
COPY --from=build /opt/spendwatch /opt/spendwatch
ENV PATH="/opt/spendwatch/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes' runAsNonRoot can check it. The folder holds the connectors' checkpoints.
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/spendwatch
WORKDIR /var/lib/spendwatch
USER 10001:10001
EXPOSE 8321 8322 8323 8324
ENTRYPOINT ["spendwatch"]
CMD ["--help"]
