"""The only publisher: puts the events that tables' streams carry on the bus."""
