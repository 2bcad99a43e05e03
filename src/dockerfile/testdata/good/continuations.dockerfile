FROM tiny
# a comment
RUN echo one \
    # a comment inside
    two \

    three \  
 && echo "four \\"
ENV A=1 \
  B="two words" \
# at the margin
  C=three
	RUN indented
