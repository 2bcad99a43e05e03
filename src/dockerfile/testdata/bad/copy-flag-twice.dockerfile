FROM tiny
COPY --from=x --from=y a b
