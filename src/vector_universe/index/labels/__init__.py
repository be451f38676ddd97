"""Labels of one's own for pictures that nobody has labelled."""
