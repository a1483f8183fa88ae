"""Azure's read limits: what its answers say of them, and what may be spent."""
