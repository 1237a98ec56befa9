"""`make cost`: what an order costs on AWS, by its outcome, and what the stack costs with no order at all.

`recording` runs every outcome of the saga on an embedded cloud that keeps a record of each billed call, and tallies
the record. How it is tallied and priced is in `cost/`, for others count with it, too.
"""
