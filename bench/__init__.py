"""The benches: every figure next to its peers', measured in the same run."""
