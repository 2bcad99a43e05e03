FROM tiny
ARG =x
