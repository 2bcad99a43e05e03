FROM tiny
COPY a <<EOF
x
EOF
