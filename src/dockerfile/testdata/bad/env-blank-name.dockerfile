FROM tiny
ENV =b
