"""Models that run in a page of the book: in 8 bits, as a script, without a server."""
