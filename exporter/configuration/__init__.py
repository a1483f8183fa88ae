"""From the YAML file to a typed configuration; every problem is found at once."""
