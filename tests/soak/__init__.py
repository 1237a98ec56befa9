"""A game day of thousands of orders on its own embedded cloud: `make soak`. Not part of `make test`."""
