"""From a query to matches: filters, nearest neighbours, ranking."""
