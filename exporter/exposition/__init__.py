"""The bytes of a page of metrics: text, compression, and what is kept ready. Knows no Azure."""
