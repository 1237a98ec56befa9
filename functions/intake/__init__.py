"""Takes the orders of a partner system from the bus."""
