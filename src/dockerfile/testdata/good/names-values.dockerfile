FROM tiny
LABEL "a b"="c d" e=f\ g
ENV old form  with  blanks 
ARG x y= z="1 2"
MAINTAINER Some One <a@b>
