FROM tiny
RUN <<EOF
echo
