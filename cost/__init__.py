"""What an order costs on AWS: one table of prices, what `make cost` recorded of each outcome, and the bill of the two.

Used by `make cost` and `make scale` (benchmarks/), and `make load` (ops/).
"""
