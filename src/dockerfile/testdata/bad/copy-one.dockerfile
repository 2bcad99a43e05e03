FROM tiny
COPY a
