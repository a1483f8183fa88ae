"""Which scale sets there are: those that the configuration lists, and those that are found."""
