FROM rust:1-bookworm AS builder
WORKDIR /build
COPY . .
# Both folders are kept between builds and belong to no layer, so the binary is taken out at once.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --bin allclear \
    && install -D target/release/allclear /out/allclear

FROM debian:bookworm-slim
# Certificates for mail and PostgreSQL over TLS. Time zones and both databases are inside the binary.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 allclear \
    && useradd --uid 10001 --gid allclear --no-create-home --home-dir /data --shell /usr/sbin/nologin allclear \
    && install -d -o allclear -g allclear -m 0750 /data
COPY --from=builder /out/allclear /usr/local/bin/allclear

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
ENV ALLCLEAR_LISTEN=0.0.0.0:8080 \
    ALLCLEAR_DATA_DIR=/data

# GET /readyz with what is in the image: bash opens the connection itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/${ALLCLEAR_LISTEN##*:}\" && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 4 _ status _ <&3 && [[ $status == 200 ]]"]

ENTRYPOINT ["allclear"]
CMD ["serve"]
