FROM tiny
RUN --network=other x
