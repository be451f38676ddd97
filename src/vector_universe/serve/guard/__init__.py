"""Who is let in, how much of a request, and how many at once."""
