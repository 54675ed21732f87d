# The toolkit on a GPU:
#   docker build -t tsrun .
#   docker run --rm --gpus all --ipc host -v "$PWD/data:/work/data" -v "$PWD/artifacts:/work/artifacts" \
#       tsrun --mode train --task classify --csv './data/LP{1..31}a.csv' --context-len 31 --epochs 30 --amp --compile reduce-overhead
# Without --gpus it runs on the CPU. The wheel of torch brings CUDA's libraries; of the base only the driver's part is used.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04

# torch.compile builds small C modules: gcc and Python's headers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-dev python3-venv gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/tsrun
ENV PATH=/opt/tsrun/bin:$PATH

# What changes rarely comes first, so that a change of the code downloads nothing again.
COPY requirements.txt requirements.lock /src/
RUN pip install --no-cache-dir -r /src/requirements.txt -c /src/requirements.lock

COPY . /src/
RUN pip install --no-cache-dir -c /src/requirements.lock /src && rm -rf /src && tsrun --version

WORKDIR /work
ENTRYPOINT ["tsrun"]
CMD ["--help"]
