FROM tiny
COPY --fro=x a b
