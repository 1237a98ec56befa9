"""A game day of thousands of orders on an embedded cloud of its own: `make soak`. Not part of `make test`."""
