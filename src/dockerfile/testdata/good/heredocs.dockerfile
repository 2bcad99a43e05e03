FROM tiny
RUN <<EOF
echo $HOME
EOF
RUN <<-"E1" cat 3<<E2 > /x
	one $a
	E1
two
E2
COPY <<a.txt <<'b.txt' plain /dest/
hello $NAME
a.txt
raw $NAME
b.txt
ONBUILD RUN <<X
later
X
RUN echo "<<notone"
