"""What the whole program speaks of: scale sets, targets and Azure's answers. No I/O here."""
