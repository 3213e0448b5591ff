# Eddyline as a container: non-root, and at home on a read-only root file system.
#
#   docker build -t eddyline .
#   docker run --read-only --tmpfs /tmp -p 8080:8080 \
#     -e EDDY_NATS_SERVERS=nats://nats:4222 \
#     -v ./handlers:/handlers:ro -v ./config:/app/config:ro -v ./credentials:/credentials:ro eddyline
#
# Mounts (all read-only, none is required): /handlers, the handlers, instead of the examples in here;
# /app/config, with eddy.yaml; any place for NATS credentials, nkeys and certificates, named in eddy.yaml
# or by EDDY_… variables. /tmp is the only place that is ever written.
#
# Another base needs Node 20.19 or newer on its PATH and nothing else, for example a hardened image of your
# own. Choose both with the same libc: node_modules comes from the first.
ARG BUILD_IMAGE=node:22-slim
ARG BASE_IMAGE=node:22-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts
# Readable for the user below, whatever umask the repository was cloned with.
RUN chmod -R a+rX config handlers

FROM ${BASE_IMAGE} AS runtime
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/config ./config
COPY --from=build /app/handlers /handlers
ENV NODE_ENV=production \
    EDDY_HANDLERS=/handlers \
    EDDY_HTTP_HOST=0.0.0.0 \
    EDDY_HTTP_PORT=8080
# A number, so that Kubernetes' runAsNonRoot can see that it is not root. It owns nothing in here.
USER 10001:10001
EXPOSE 8080
# SIGTERM drains: what is in flight is finished and committed. Give it more than the handlers' deadline.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.EDDY_HTTP_PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/eddy.js"]
CMD ["start"]
