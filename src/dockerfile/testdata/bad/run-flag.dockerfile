FROM tiny
RUN --mnt=type=bind x
