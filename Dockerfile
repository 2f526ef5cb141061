# Any command of the package: docker run --rm -v "$PWD:/work" jdrl jdrl_lightning.predict input=photos output=restored
FROM python:3.11-slim
# The compiler is for the reblurring operator, which is compiled on first use.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY src /source/src
COPY conf /source/conf
RUN pip install --no-cache-dir -c /source/constraints.txt /source
WORKDIR /work
ENTRYPOINT ["python", "-m"]
CMD ["jdrl_lightning.doctor"]
