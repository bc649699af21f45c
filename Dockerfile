# The service's image:              docker build -t kakao-auth .
# The fake Kakao, for development:  docker build -t kakao-simulator --target simulator .

# The same Rust as in rust-toolchain.toml, which stays outside: it would fetch the toolchain a second time.
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
# A C library and certificate authorities; no shell, no package manager. Its Debian must be the builder's or a later one.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# The workspace with nothing in it: it changes when a manifest does, not when the code does.
FROM ${RUST_IMAGE} AS skeleton
WORKDIR /source
COPY . .
RUN mkdir /skeleton \
 && find . -name Cargo.toml -exec cp --parents {} /skeleton/ \; \
 && cp Cargo.lock /skeleton/ \
 && find . \( -path '*/src/lib.rs' -o -path '*/src/main.rs' -o -path '*/src/bin/*' -o -path '*/benches/*' -o -path '*/tests/*' -o -path '*/examples/*' \) \
      -name '*.rs' -exec sh -c 'mkdir -p "/skeleton/$(dirname "$1")" && echo "fn main() { }" >"/skeleton/$1"' - {} \; \
 && find /skeleton -path '*/src/lib.rs' -exec truncate --size 0 {} \;

# Every crate of the service: built again only when the layer above has changed.
FROM ${RUST_IMAGE} AS dependencies
WORKDIR /source
COPY --from=skeleton /skeleton .
RUN cargo build --release --locked --package kakao-auth --bin kakao-auth

# `touch`: the files of a checkout may be older than what was built from the empty ones.
FROM dependencies AS service-build
COPY . .
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo build --release --locked --package kakao-auth --bin kakao-auth

FROM dependencies AS simulator-build
COPY . .
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo build --release --locked --package kakao-simulator --bin kakao-simulator

FROM ${RUNTIME_IMAGE} AS simulator
LABEL org.opencontainers.image.title="kakao-simulator" \
      org.opencontainers.image.description="A fake Kakao for development. It logs anyone in: never put it where others can reach it"
COPY --from=simulator-build /source/target/release/kakao-simulator /usr/local/bin/kakao-simulator
USER 65532:65532
EXPOSE 8081
ENTRYPOINT ["/usr/local/bin/kakao-simulator"]
CMD ["--bind", "0.0.0.0:8081"]

# The last stage is what `docker build .` makes. The default settings are compiled in, and it writes no file.
FROM ${RUNTIME_IMAGE} AS kakao-auth
LABEL org.opencontainers.image.title="kakao-auth" \
      org.opencontainers.image.description="A standalone login service for Kakao that issues its own JWTs" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=service-build /source/target/release/kakao-auth /usr/local/bin/kakao-auth
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/kakao-auth", "health"]
ENTRYPOINT ["/usr/local/bin/kakao-auth"]
CMD ["serve"]
