"""What requests are answered from: a universe as it was opened, with its model, and another beside it."""
