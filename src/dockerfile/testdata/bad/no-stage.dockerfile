ARG a=1
RUN x
