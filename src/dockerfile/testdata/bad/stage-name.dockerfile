FROM tiny AS 1a
