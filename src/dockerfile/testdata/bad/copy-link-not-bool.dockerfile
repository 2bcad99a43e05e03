FROM tiny
COPY --link=perhaps a b
