"""A report for people: one page, or a table on the console."""
