# The page of `mofm app`, or any other command: docs/app.md#docker.
# CPU:  docker build -t mofm .
# CUDA: docker build -t mofm --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
FROM python:3.11.13-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11.13-slim-bookworm
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# what OpenCV and MediaPipe load
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgles2 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" torch==2.13.0
RUN pip install --no-cache-dir "$(ls /wheels/mofm-*.whl)[app,video]"
# drivers that the container toolkit of NVIDIA adds to CUDA builds
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN useradd --create-home --uid 1000 mofm
USER mofm
WORKDIR /home/mofm
EXPOSE 7860
HEALTHCHECK --start-period=2m CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860')"]
ENTRYPOINT ["mofm"]
CMD ["app", "--host", "0.0.0.0", "--port", "7860"]
