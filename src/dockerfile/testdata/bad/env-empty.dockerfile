FROM tiny
ENV
