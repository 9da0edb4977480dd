"""How the benchmarks measure: blocks that take turns, a bare application subtracted in each round."""
