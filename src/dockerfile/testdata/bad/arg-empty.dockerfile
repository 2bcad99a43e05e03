FROM tiny
ARG
